import { type ChildProcess, spawn } from 'node:child_process'
import { setPriority } from 'node:os'
import type { FaultOrder } from './fault-order.js'

/** Else processes that start, and others on the machine, would keep the ends from their cores, and it is that which would be measured. */
const ENDS_PRIORITY = -10
const STARTING_PRIORITY = 10
/** Ends that spin would keep everybody else from the cores. */
const SPINNING_PRIORITY = 0

/** A process that got its order. */
export interface FaultProcess {
  readonly pid: number
  /** Resolves once it has ended and was reaped; true when a signal did it. */
  readonly ended: Promise<boolean>
  readonly hasEnded: boolean
  kill(): void
}

/**
 * Processes that have loaded everything and wait for an order, since starting one takes a hundred times longer than a fault. Some more are
 * started whenever one is taken.
 */
export class WarmProcesses {
  readonly #program: string
  readonly #count: number
  readonly #warm: ChildProcess[] = []
  readonly #all = new Set<ChildProcess>()
  #isClosed = false
  /** Only the privileged may raise a process's priority. */
  #mayYield = process.getuid?.() === 0

  constructor(program: string, count: number) {
    this.#program = program
    this.#count = count
    this.#fill()
  }

  take(order: FaultOrder): FaultProcess {
    const child = this.#warm.shift() as ChildProcess
    this.#fill()
    if (this.#mayYield) trySetPriority(child, order.strategy === 'spin' ? SPINNING_PRIORITY : ENDS_PRIORITY)
    let hasEnded = false
    const ended = new Promise<boolean>((resolve) => {
      if (child.exitCode !== null || child.signalCode !== null) {
        hasEnded = true
        return resolve(child.signalCode !== null)
      }
      child.once('exit', (_code, signal) => {
        hasEnded = true
        resolve(signal !== null)
      })
    })
    child.stdin?.write(`${JSON.stringify(order)}\n`)
    return {
      pid: child.pid as number,
      ended,
      get hasEnded() {
        return hasEnded
      },
      kill: () => void child.kill('SIGKILL'),
    }
  }

  /** Kills all that are left. */
  close(): void {
    this.#isClosed = true
    for (const child of this.#all) child.kill('SIGKILL')
  }

  #fill(): void {
    while (this.#warm.length < this.#count && !this.#isClosed) {
      const child = spawn(process.execPath, [this.#program], { stdio: ['pipe', 'ignore', 'inherit'], env: {} })
      // An order to a process that ended is no news: its end is.
      child.stdin.on('error', () => {})
      child.once('exit', () => this.#all.delete(child))
      this.#mayYield &&= trySetPriority(child, STARTING_PRIORITY)
      this.#all.add(child)
      this.#warm.push(child)
    }
  }
}

function trySetPriority(child: ChildProcess, priority: number): boolean {
  try {
    setPriority(child.pid as number, priority)
    return true
  } catch {
    // It has ended, or a container took the right away.
    return false
  }
}
