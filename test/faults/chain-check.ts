import type { Row } from '#journal/index.js'
import { CHAIN_LENGTH } from './chain-plant.js'

export interface ChainReport {
  /** Effects that there should be once each: of every number, one at each relay, an answer and a timer. */
  readonly effects: number
  readonly missing: number
  readonly doubled: number
  readonly outOfOrder: number
  /** Messages without an end, or with one that is not `done`. */
  readonly unsettled: number
  /** Answers that say that the first relay does not have what it handed on. */
  readonly wrong: number
}

/** Holds the rows of a chain against the numbers from 1 to `count` that were sent to the first relay. */
export function checkChain(rows: readonly Row[], count: number): ChainReport {
  const seen = new Map<string, number[]>()
  const told = new Map<string, number>()
  let [unsettled, wrong] = [0, 0]
  for (const { entity, event, data } of rows) {
    if (event === '#message') told.set(`${entity} ${String(data['number'])}`, 0)
    else if (event === '#settled') {
      const name = `${entity} ${String(data['number'])}`
      told.set(name, (told.get(name) ?? -1) + 1)
      // The outcomes of the last 16 are remembered, and no more of one sender are under way.
      if (data['outcome'] !== 'done') unsettled++
    } else if (event !== undefined) {
      const effects = `${event} at ${entity}`
      seen.set(effects, [...(seen.get(effects) ?? []), data['id'] as number])
      if (event === 'Heard' && data['outcome'] !== 'done') wrong++
    }
  }
  for (const ends of told.values()) if (ends !== 1) unsettled++
  const expected = [
    ...Array.from({ length: CHAIN_LENGTH }, (_, place) => `Took at relay/${place}`),
    ...['Heard', 'Rang'].map((event) => `${event} at relay/${CHAIN_LENGTH - 1}`),
  ]
  let [missing, doubled, outOfOrder] = [0, 0, 0]
  for (const effects of expected) {
    const ids = seen.get(effects) ?? []
    const distinct = new Set(ids)
    missing += count - distinct.size
    doubled += ids.length - distinct.size
    // Answers and timers are none of the others' business, and need not keep their order.
    if (effects.startsWith('Took')) for (const [index, id] of ids.entries()) if (index > 0 && id < (ids[index - 1] as number)) outOfOrder++
  }
  return { effects: count * expected.length, missing, doubled, outOfOrder, unsettled, wrong }
}
