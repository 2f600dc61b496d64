import type { EntityId } from '#base/ids.js'
import { type Journal, type Row, readRows } from '#journal/index.js'
import { ALARM_RAISED, SAMPLED, TestWriter } from '../journal/writer.js'

/** How to make a journal of one kind, and how to see it again after it was closed or after its process died. */
export interface JournalAdapter {
  open(): Promise<Journal>
  /** Closes it and opens what it left. */
  reopen(journal: Journal): Promise<Journal>
  /** Opens what it left when it was not closed, as after a kill. */
  crash(journal: Journal): Promise<Journal>
}

export const PRESS: EntityId = 'press/press-1'
export const OTHER: EntityId = 'press/press-2'

/** A fresh journal that knows what presses do. */
export async function started(adapter: JournalAdapter) {
  const journal = await adapter.open()
  const types = await journal.register([SAMPLED, ALARM_RAISED])
  return { journal, types, writer: new TestWriter(types) }
}

export async function rowsOf(journal: Journal, from = 0): Promise<Row[]> {
  return collect(readRows(journal, { from }))
}

export async function collect<T>(items: AsyncIterable<T>): Promise<T[]> {
  const found: T[] = []
  for await (const item of items) found.push(item)
  return found
}

export async function count(items: AsyncIterable<unknown>): Promise<number> {
  return (await collect(items)).length
}

export function of(rows: readonly Row[], entity: EntityId): Row[] {
  return rows.filter((row) => row.entity === entity)
}
