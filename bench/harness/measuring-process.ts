import { type ChildProcess, fork } from 'node:child_process'
import { realpathSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { MillraceError, messageOf } from '#base/errors.js'
import { endWithParent } from '#processes/end-with-parent.js'
import { compiledPath } from './compiled.js'

const ORDER_MS_MAX = 60_000

type Answer<Report> = { readonly report: Report } | { readonly failed: string }

/**
 * A process that measures: started with a setup, given one order at a time over Node's own IPC, it answers each with a report. Between
 * orders it waits without using a core.
 */
export class MeasuringProcess<Setup, Order, Report> {
  readonly #child: ChildProcess
  readonly #orderMsMax: number
  #take: ((answer: Answer<Report>) => void) | undefined
  #ended: string | undefined

  /** `module` is one below bench/ that calls `serveOrders`. An order may take `orderMsMax`. */
  constructor(module: string, setup: Setup, orderMsMax = ORDER_MS_MAX) {
    this.#orderMsMax = orderMsMax
    this.#child = fork(compiledPath(module), [JSON.stringify(setup)], { execArgv: [] })
    this.#child.on('message', (answer: Answer<Report>) => this.#settle(answer))
    this.#child.on('error', (error) => this.#end(messageOf(error)))
    this.#child.on('exit', (code, signal) => this.#end(`it ended with ${code ?? signal}`))
  }

  /** Throws ERR_BENCH_FAILED when the process failed, ended or said nothing for as long as an order may take. */
  async order(order: Order): Promise<Report> {
    const answer = await new Promise<Answer<Report>>((resolve) => {
      if (this.#ended !== undefined) return resolve({ failed: this.#ended })
      const timer = setTimeout(() => this.#settle({ failed: `it said nothing for ${this.#orderMsMax} ms` }), this.#orderMsMax)
      this.#take = (said) => {
        clearTimeout(timer)
        resolve(said)
      }
      this.#child.send(order as object)
    })
    if ('report' in answer) return answer.report
    throw new MillraceError('ERR_BENCH_FAILED', { fact: 'a measuring process failed', action: 'retry', values: { said: answer.failed } })
  }

  kill(): void {
    this.#child.kill('SIGKILL')
  }

  #end(how: string): void {
    this.#ended ??= how
    this.#settle({ failed: how })
  }

  #settle(answer: Answer<Report>): void {
    this.#take?.(answer)
    this.#take = undefined
  }
}

/**
 * The other side: when the module is the program that was started, makes what carries orders out and serves the parent until it lets go.
 * Does nothing when the module was imported.
 */
export function serveOrders<Setup, Order, Report>(
  moduleUrl: string,
  start: (setup: Setup) => (order: Order) => Report | Promise<Report>,
): void {
  const [, program, setup] = process.argv
  if (process.send === undefined || setup === undefined || program === undefined || realpathSync(program) !== fileURLToPath(moduleUrl))
    return
  const answer = (said: Answer<Report>) => process.send?.(said)
  const carryOut = start(JSON.parse(setup) as Setup)
  process.on('disconnect', () => process.exit(0))
  // An order may keep it from ever seeing that.
  endWithParent()
  const carryOutLater = async (order: Order) => answer({ report: await carryOut(order) })
  process.on('message', (order: Order) => {
    carryOutLater(order).catch((error: unknown) => answer({ failed: messageOf(error) }))
  })
}
