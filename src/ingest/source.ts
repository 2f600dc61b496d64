import { resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Clock } from '#base/clock.js'
import type { Door } from './door.js'

/**
 * Something that brings commands into a plant, as it stands in `definePlant({ sources: [...] })`. The gateway starts it once the plant is
 * ready and stops it first.
 */
export interface SourceDefinition {
  /** Such as `csv` or `mqtt`. */
  readonly kind: string
  /** Unique in a plant: names its state below the directory, and stands in logs and metrics. */
  readonly name: string
  /** Throws a MillraceError when it cannot begin: a map that is wrong, a file that is not there. */
  start(context: SourceContext): Promise<RunningSource>
}

export interface SourceContext {
  readonly door: Door
  readonly clock: Clock
  readonly log: SourceLog
  /** Where it may keep files of its own, such as checkpoints and rejects. Made by whoever needs it. */
  readonly directory: string
  /** Relative paths in the definition start here: the folder of the plant file. Without it, the working directory. */
  readonly base?: string
}

/** `message` is a lowercase fact. */
export type SourceLog = (level: 'info' | 'warn' | 'error', message: string, values?: Readonly<Record<string, unknown>>) => void

export interface RunningSource {
  /** Takes nothing more, gives what is in flight some seconds to settle, and keeps what is needed to go on. Never throws. */
  stop(): Promise<void>
  stats(): SourceStats
}

/** Counts since the start, or over all runs where the source remembers. */
export interface SourceStats {
  /** Rows or messages that came. */
  readonly received: number
  /** Durable. */
  readonly accepted: number
  readonly rejected: number
  readonly inFlight: number
  /** Times the door had no room. */
  readonly full: number
  /** Commands without a sequence: a resend of one is a second command. */
  readonly unnumbered: number
  readonly state: 'running' | 'finished' | 'failed' | 'stopped'
}

/** A path or a file URL of a definition, made absolute. */
export function sourcePath(path: string | URL, base: string | undefined): string {
  return path instanceof URL || path.startsWith('file:') ? fileURLToPath(path) : resolve(base ?? '.', path)
}
