import { type Envelope, isFresh, type Outbox, type OutboxRow } from '#entity/index.js'
import type { Slot } from './slot.js'

/** Why an entity takes no commands but those of its kin. */
export interface Down {
  /** Of the refusal. */
  readonly code: 'SUSPENDED' | 'STOPPED'
  readonly message: string
}

/** Faults that an entity is said to have erred with. That one is down, or cannot be rebuilt, is no new error of it. */
const ERRORS: ReadonlySet<string> = new Set(['DECIDE_FAILED', 'APPLY_FAILED', 'PARKED', 'TOO_LARGE'])

const NO_ROWS: readonly OutboxRow[] = []

/** Undefined for one that takes commands. */
export function whyDown({ id, outbox }: Slot): Down | undefined {
  const phase = outbox?.kin?.self?.phase
  if (phase === undefined || phase === 'running') return undefined
  if (phase === 'stopped') return { code: 'STOPPED', message: `${id} is stopped, and takes no commands until it is spawned again` }
  return { code: 'SUSPENDED', message: `${id} has errored, and takes no commands until its supervisor has decided what becomes of it` }
}

/** The rows by which an entity says that a command has failed, to be stored with the refusal; none where nobody is there to hear it. */
export function errorRows(slot: Slot, code: string, message: string, envelope: Envelope): readonly OutboxRow[] {
  if (slot.outbox?.kin === undefined || slot.lostVersion > 0 || !ERRORS.has(code)) return NO_ROWS
  return [...slot.model.errored(code, message, envelope)]
}

/** Folds rows that were appended. Their data is the outbox's from then on. */
export function takeRows(slot: Slot, outbox: Outbox, rows: readonly OutboxRow[], at: number, correlation: string): void {
  for (const row of rows) {
    if (isFresh(row.event, row.data)) slot.state = slot.model.initial()
    outbox.take(row, at, correlation)
  }
}
