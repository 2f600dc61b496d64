import { RECEIPT_TYPE } from '#journal/append-frame.js'
import { Damage } from '#journal/bytes.js'
import { COLUMN_TYPE, type RowGroup, type TypeSection } from '#journal/row-group.js'

/** Where the rows of one event type lie in a row group. */
export interface TypeRows {
  readonly typeNumber: number
  /** Undefined for receipts, which have no columns of their own. */
  readonly section: TypeSection | undefined
  readonly rowCount: number
  /** Index in the group of the row with each rank, ascending; undefined when the group has no other rows. */
  readonly rowOf: Uint32Array | undefined
}

/** The rows of a group by event type, for those types that are `wanted`. Throws Damage when rows and columns of a type do not tell the same. */
export function typeRowsOf(group: RowGroup, wanted: (typeNumber: number) => boolean): TypeRows[] {
  const { sections, rowCount } = group
  const eventRows = sections.reduce((sum, section) => sum + section.rowCount, 0)
  const all = sections.map((section): [number, TypeSection | undefined, number] => [section.typeNumber, section, section.rowCount])
  if (eventRows < rowCount) all.push([RECEIPT_TYPE, undefined, rowCount - eventRows])
  const [only] = all
  if (all.length === 1 && only !== undefined) {
    const [typeNumber, section] = only
    return wanted(typeNumber) ? [{ typeNumber, section, rowCount, rowOf: undefined }] : []
  }
  const found = all.filter(([typeNumber]) => wanted(typeNumber))
  if (found.length === 0) return []
  const types = group.narrow(COLUMN_TYPE)
  return found.map(([typeNumber, section, count]) => {
    const rowOf = new Uint32Array(count)
    let rank = 0
    for (let row = 0; row < rowCount; row++) {
      if (types[row] !== typeNumber) continue
      if (rank < count) rowOf[rank] = row
      rank++
    }
    if (rank !== count) throw new Damage('an event type has other rows than its columns')
    return { typeNumber, section, rowCount: count, rowOf }
  })
}
