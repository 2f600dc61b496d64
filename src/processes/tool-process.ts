import { type ChildProcess, spawn } from 'node:child_process'
import { Socket } from 'node:net'
import { MillraceError } from '#base/errors.js'

const READY_WITHIN_MS = 15_000
const ERROR_BYTES_MAX = 4096

/** A process that serves one tool and ends with it. */
export interface ToolProcess {
  readonly pid: number
  /** Resolves with the exit code, or the signal's name, when the process has ended. */
  readonly ended: Promise<number | string>
  /** Closes its lifeline and waits for its end. */
  close(): Promise<void>
  /** Closes its lifeline and does not wait: it ends by itself, and does not keep the tool from ending before. */
  leave(): void
  kill(signal: NodeJS.Signals): void
}

export interface ToolProcessOptions {
  /** Compiled JavaScript that calls `openToolLifeline` when it is ready. */
  readonly entry: string
  readonly args: readonly string[]
  readonly env?: Readonly<Record<string, string | undefined>>
  readonly readyWithinMs?: number
  /** Where its standard error goes: into the error when it fails to start, or to the tool's own as well. */
  readonly stderr?: 'collect' | 'inherit'
}

/** Starts the process and resolves once it says that it is ready. Rejects with ERR_TOOL_PROCESS and what it printed when it ends before that. */
export function startToolProcess(options: ToolProcessOptions): Promise<ToolProcess> {
  const child = spawn(process.execPath, [options.entry, ...options.args], {
    stdio: ['ignore', 'ignore', options.stderr === 'inherit' ? 'inherit' : 'pipe', 'pipe'],
    env: { ...process.env, ...options.env },
  })
  let errors = ''
  child.stderr?.on('data', (piece: Buffer) => {
    errors = (errors + piece.toString()).slice(-ERROR_BYTES_MAX)
  })
  const lifeline = child.stdio[3] as Socket
  const ended = new Promise<number | string>((resolve) => {
    child.on('exit', (code, signal) => resolve(signal ?? code ?? 1))
    child.on('error', () => resolve(1))
  })
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => {
      child.kill('SIGKILL')
      reject(notReady('it was not ready in time', options, errors))
    }, options.readyWithinMs ?? READY_WITHIN_MS)
    lifeline.on('error', () => undefined)
    lifeline.once('data', () => {
      clearTimeout(timer)
      resolve(toolProcess(child, lifeline, ended))
    })
    void ended.then((how) => {
      clearTimeout(timer)
      reject(notReady(`it ended with ${how}`, options, errors))
    })
  })
}

/** The process's side: says that it is ready, and ends it when the tool is gone. */
export function openToolLifeline(onClosed: () => void): void {
  const socket = new Socket({ fd: 3, readable: true, writable: true })
  socket.on('error', () => undefined)
  socket.once('close', onClosed)
  socket.resume()
  socket.write('ready\n')
}

function toolProcess(child: ChildProcess, lifeline: Socket, ended: Promise<number | string>): ToolProcess {
  return {
    pid: child.pid as number,
    ended,
    close: async () => {
      lifeline.destroy()
      await ended
    },
    leave: () => {
      lifeline.destroy()
      child.stderr?.destroy()
      child.unref()
    },
    kill: (signal) => void child.kill(signal),
  }
}

function notReady(what: string, options: ToolProcessOptions, errors: string): MillraceError {
  return new MillraceError('ERR_TOOL_PROCESS', {
    fact: `a process that this command needs did not start, ${what}`,
    action: 'operator',
    values: { entry: options.entry },
    next: errors.trim() === '' ? 'run it again with --debug' : errors.trim(),
  })
}
