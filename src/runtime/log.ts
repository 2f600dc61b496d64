import { type Logger, pino } from 'pino'

export type { Logger }

/** JSON lines to standard error, where the supervisor collects them. `bindings` name the process: role, slot. */
export function createLog(level: string, bindings: Readonly<Record<string, unknown>>): Logger {
  return pino(
    { level, base: { pid: process.pid, ...bindings }, timestamp: pino.stdTimeFunctions.isoTime },
    pino.destination({ fd: 2, sync: true }),
  )
}
