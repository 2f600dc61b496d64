import { RECEIPT_TYPE } from '#journal/append-frame.js'
import type { TypeZones } from '#journal/block-entry.js'
import type { ZoneMap } from '#journal/columns/zone-map.js'
import { PART_VALUES, PARTS } from '#journal/row-group.js'
import type { SegmentRows } from './segment-rows.js'
import type { FieldRows } from './type-rows.js'

/** The zone maps of the given rows by event type, of all columns of numbers. */
export function zonesOf(rows: SegmentRows, order: Uint32Array): Map<number, TypeZones> {
  const ranks = new Map<number, number[]>()
  for (let index = 0; index < order.length; index++) {
    const row = order[index] as number
    const type = rows.type[row] as number
    if (type === RECEIPT_TYPE) continue
    let own = ranks.get(type)
    if (own === undefined) ranks.set(type, (own = []))
    own.push(rows.typeRank[row] as number)
  }
  const types = new Map<number, TypeZones>()
  for (const [type, own] of [...ranks].sort((a, b) => a[0] - b[0])) {
    const zones = new Map<number, ZoneMap>()
    rows.typeRows(type).fields.forEach((field, index) => {
      if (!field.isVariable && field.kind !== 'bool') zones.set(index * PARTS + PART_VALUES, zoneOf(field, own))
    })
    types.set(type, { rowCount: own.length, zones })
  }
  return types
}

function zoneOf(field: FieldRows, ranks: readonly number[]): ZoneMap {
  const { presence } = field
  const values = numbersOf(field)
  let min = Infinity
  let max = -Infinity
  let count = 0
  for (const rank of ranks) {
    if (presence[rank] === 0) continue
    const value = values[rank] as number
    // NaN alone differs from itself.
    if (value === value) count++
    if (value < min) min = value
    if (value > max) max = value
  }
  return { min, max, count }
}

function numbersOf({ kind, words }: FieldRows): Float64Array | Float32Array | Int32Array {
  if (kind === 'f32') return new Float32Array(words.buffer)
  if (kind === 'i32') return new Int32Array(words.buffer)
  return new Float64Array(words.buffer)
}
