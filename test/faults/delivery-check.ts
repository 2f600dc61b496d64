import type { Received } from './restartable-broker.js'

/** A row that was to arrive. */
export interface Expected {
  readonly entity: string
  readonly version: number
}

export interface DeliveryReport {
  readonly rows: number
  readonly received: number
  /** Rows that never arrived. */
  readonly missing: number
  /** Of these, rows of which a later one of the same entity did arrive: they were passed over. */
  readonly skipped: number
  /** Rows whose first arrival came before that of an earlier row of the same entity. */
  readonly outOfOrder: number
  /** Messages of rows that had arrived before. */
  readonly duplicates: number
  /** Messages of rows that were not to come, or that are not what the row is. */
  readonly strange: number
}

/** What arrived of one publisher, held against the rows of the log: nothing missing, first arrivals in order per entity. Knows nothing of how they were sent. */
export function checkDelivery(expected: readonly Expected[], received: readonly Received[]): DeliveryReport {
  const wanted = new Set(expected.map(keyOf))
  const arrived = new Set<string>()
  const newest = new Map<string, number>()
  let [outOfOrder, duplicates, strange] = [0, 0, 0]
  for (const { topic, payload } of received) {
    const row = JSON.parse(payload) as Expected & { event: string; data: { number: number } }
    const key = keyOf(row)
    if (!wanted.has(key) || !topic.endsWith(`/${row.entity}/${row.event}`) || row.data.number !== row.version) strange++
    else if (arrived.has(key)) duplicates++
    else {
      arrived.add(key)
      if (row.version < (newest.get(row.entity) ?? 0)) outOfOrder++
      newest.set(row.entity, Math.max(row.version, newest.get(row.entity) ?? 0))
    }
  }
  const missing = expected.filter((row) => !arrived.has(keyOf(row)))
  const skipped = missing.filter(({ entity, version }) => version < (newest.get(entity) ?? 0)).length
  return { rows: expected.length, received: received.length, missing: missing.length, skipped, outOfOrder, duplicates, strange }
}

function keyOf({ entity, version }: Expected): string {
  return `${entity}@${version}`
}
