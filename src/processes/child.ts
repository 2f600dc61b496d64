import { type ChildProcess, spawn } from 'node:child_process'
import { closeSync, openSync, renameSync, statSync } from 'node:fs'
import type { Duplex } from 'node:stream'
import { isMillraceError, MillraceError, messageOf } from '#base/errors.js'
import {
  BIRTH_VARIABLE,
  type ChildBirth,
  type ChildMessage,
  CONTROL_FD,
  CONTROL_LINE_BYTES_MAX,
  errorOfPlain,
  isChildMessage,
  type SupervisorMessage,
} from './control-message.js'
import { JsonLineReader, jsonLine } from './json-lines.js'

const LOG_BYTES_MAX = 16 << 20

export interface ChildOptions {
  /** Compiled JavaScript with the process's main. */
  readonly entry: string
  readonly birth: ChildBirth
  /** Options of Node itself, such as `--max-old-space-size=512`. */
  readonly execArgv?: readonly string[]
  /** Where stdout and stderr go, appended, mode 0600; undefined: to the supervisor's own. Above 16 MB the file is moved to `<path>.old` first. */
  readonly logPath?: string | undefined
}

/** How a process ended: by itself, by a signal, or before it ever ran. */
export type Ending =
  | { readonly kind: 'exit'; readonly code: number }
  | { readonly kind: 'signal'; readonly signal: string }
  | { readonly kind: 'not-started'; readonly message: string }

/** What a child tells its owner. All come from the event loop, none from within `spawnChild`. `onEnd` comes once, after the child was reaped. */
export interface ChildHandlers {
  onMessage(message: ChildMessage): void
  onEnd(ending: Ending): void
}

/**
 * A process that the supervisor started. One that speaks garbage is broken, and is killed; its end is told as any other. It has a session of its own, so that Ctrl-C in a terminal reaches the supervisor alone, which then
 * stops it in order.
 */
export class Child {
  /** Undefined when it could not be started; then `onEnd` says why. */
  readonly pid: number | undefined
  readonly #process: ChildProcess
  readonly #pipe: Duplex | undefined
  readonly #calls = new Map<number, { resolve: (value: unknown) => void; reject: (error: Error) => void; timer: NodeJS.Timeout }>()
  /** Resolves once it was reaped; never rejects. */
  readonly ended: Promise<Ending>
  #callCount = 0
  #ending: Ending | undefined

  constructor(process: ChildProcess, handlers: ChildHandlers) {
    this.#process = process
    this.pid = process.pid
    this.#pipe = process.stdio[CONTROL_FD] as Duplex | undefined
    this.ended = this.#listen(handlers)
  }

  get ending(): Ending | undefined {
    return this.#ending
  }

  /** Lost when the child is gone: then `onEnd` tells. */
  send(message: SupervisorMessage): void {
    if (this.#ending === undefined && this.#pipe?.writable === true) this.#pipe.write(jsonLine(message, CONTROL_LINE_BYTES_MAX))
  }

  /** Rejects with the child's error, with ERR_CALL_TIMEOUT, or with ERR_PROCESS_GONE when it ends first. */
  call(name: string, args: unknown, timeoutMs: number): Promise<unknown> {
    if (this.#ending !== undefined) return Promise.reject(gone(name))
    const id = ++this.#callCount
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        this.#calls.delete(id)
        reject(timedOut(name, timeoutMs))
      }, timeoutMs)
      this.#calls.set(id, { resolve, reject, timer })
      this.send({ kind: 'call', id, name, args })
    })
  }

  /** Closes the pipe: to the child it looks as if its supervisor had died. */
  hangUp(): void {
    this.#pipe?.destroy()
  }

  /** SIGKILL, which a stopped process obeys too. The end is told by `onEnd`. */
  kill(): void {
    if (this.#ending === undefined) this.#process.kill('SIGKILL')
  }

  #listen(handlers: ChildHandlers): Promise<Ending> {
    const reader = new JsonLineReader(CONTROL_LINE_BYTES_MAX)
    this.#pipe?.on('data', (piece: Buffer) => {
      try {
        for (const message of reader.read(piece)) {
          if (isChildMessage(message)) this.#take(message, handlers)
          else this.kill()
        }
      } catch (error) {
        if (!isMillraceError(error)) throw error
        this.kill()
      }
    })
    this.#pipe?.on('error', () => undefined)
    return new Promise((resolve) => {
      this.#process.on('error', (error) => {
        // Without a pid there will be no exit; with one, the error is about a signal or a message, and the exit is still to come.
        if (this.pid === undefined) resolve(this.#end({ kind: 'not-started', message: messageOf(error) }, handlers))
      })
      this.#process.on('exit', (code, signal) => {
        resolve(this.#end(signal === null ? { kind: 'exit', code: code ?? 0 } : { kind: 'signal', signal }, handlers))
      })
    })
  }

  #end(ending: Ending, handlers: ChildHandlers): Ending {
    this.#ending = ending
    this.#pipe?.destroy()
    for (const call of this.#calls.values()) {
      clearTimeout(call.timer)
      call.reject(gone('pending'))
    }
    this.#calls.clear()
    handlers.onEnd(ending)
    return ending
  }

  #take(message: ChildMessage, handlers: ChildHandlers): void {
    if (message.kind !== 'answer') return handlers.onMessage(message)
    const call = this.#calls.get(message.id)
    if (call === undefined) return
    this.#calls.delete(message.id)
    clearTimeout(call.timer)
    if (message.error === undefined) call.resolve(message.value)
    else call.reject(errorOfPlain(message.error))
  }
}

/** Starts a process. When the operating system refuses, either the child ends as `not-started`, or this throws the system's error at once. */
export function spawnChild(options: ChildOptions, handlers: ChildHandlers): Child {
  const output = options.logPath === undefined ? undefined : openLog(options.logPath)
  try {
    const child = spawn(process.execPath, [...(options.execArgv ?? []), options.entry, options.birth.role], {
      detached: true,
      env: { ...process.env, [BIRTH_VARIABLE]: JSON.stringify(options.birth) },
      stdio: ['ignore', output ?? 'inherit', output ?? 'inherit', 'pipe'],
    })
    return new Child(child, handlers)
  } finally {
    if (output !== undefined) closeSync(output)
  }
}

function openLog(path: string): number | undefined {
  try {
    if ((statSync(path, { throwIfNoEntry: false })?.size ?? 0) > LOG_BYTES_MAX) renameSync(path, `${path}.old`)
    return openSync(path, 'a', 0o600)
  } catch {
    // A full disk must not keep a process from being replaced: its output goes to the supervisor's own.
    return undefined
  }
}

function gone(name: string): MillraceError {
  return new MillraceError('ERR_PROCESS_GONE', {
    fact: 'the process ended before it answered',
    action: 'retry',
    values: { call: name },
    next: 'ask again once it is replaced',
  })
}

function timedOut(name: string, timeoutMs: number): MillraceError {
  return new MillraceError('ERR_CALL_TIMEOUT', {
    fact: 'the process did not answer in time',
    action: 'retry',
    values: { call: name, timeoutMs },
    next: 'look at its state with `millrace status`',
  })
}
