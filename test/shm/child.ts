import { type ChildProcessByStdio, spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import type { Readable, Writable } from 'node:stream'
import { fileURLToPath } from 'node:url'
import { onTestFinished } from 'vitest'
import { until } from './until.js'

const here = fileURLToPath(new URL('.', import.meta.url))

/** What `npm test` has compiled. Children load it themselves, since they cannot import TypeScript. */
export const ADDON = join(here, '..', '..', 'native', 'build', 'Release', 'millrace.node')

/** A real process that runs children/<name>.mjs: it prints a line when something has happened and obeys lines that it reads. */
export class Child {
  readonly pid: number
  readonly lines: string[] = []
  readonly #process: ChildProcessByStdio<Writable, Readable, null>
  readonly #ended: Promise<unknown[]>

  constructor(name: string, ...args: string[]) {
    const child = spawn(process.execPath, [join(here, 'children', `${name}.mjs`), ADDON, ...args], {
      stdio: ['pipe', 'pipe', 'inherit'],
    })
    this.#process = child
    this.#ended = once(child, 'exit')
    this.pid = child.pid as number
    let rest = ''
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      const lines = (rest + text).split('\n')
      rest = lines.pop() as string
      this.lines.push(...lines)
    })
    onTestFinished(() => {
      child.kill('SIGKILL')
    })
  }

  tell(line: string): void {
    this.#process.stdin.write(`${line}\n`)
  }

  signal(signal: NodeJS.Signals): void {
    this.#process.kill(signal)
  }

  async said(line: string): Promise<void> {
    await until(`the child says ${line}`, () => this.lines.includes(line))
  }

  /** Ends its input, which ends it, and gives its exit code and signal. */
  async ended(): Promise<unknown[]> {
    this.#process.stdin.end()
    return this.#ended
  }

  async killed(): Promise<void> {
    this.#process.kill('SIGKILL')
    await this.#ended
  }
}
