import { type Logger, pino } from 'pino'

export type { Logger }

/** JSON lines to a file, appended, mode 0600. What cannot be written is lost: whoever writes there has more important things to do. */
export function createFileLog(path: string, level: string, bindings: Readonly<Record<string, unknown>>): Logger {
  const destination = pino.destination({ dest: path, sync: true, mode: 0o600 })
  destination.on('error', () => undefined)
  return pino({ level, base: { pid: process.pid, ...bindings }, timestamp: pino.stdTimeFunctions.isoTime }, destination)
}

/** JSON lines to standard error, where the supervisor collects them. `bindings` name the process: role, slot. */
export function createLog(level: string, bindings: Readonly<Record<string, unknown>>): Logger {
  return pino(
    { level, base: { pid: process.pid, ...bindings }, timestamp: pino.stdTimeFunctions.isoTime },
    pino.destination({ fd: 2, sync: true }),
  )
}
