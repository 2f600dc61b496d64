import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { type EntityId, shardOfId } from '#base/ids.js'
import { EntityTable } from '#journal/entity-table.js'

const utf8 = new TextEncoder()

describe('a table of entities', () => {
  test('knows each by name and by number, however many there are', () => {
    const ids = fc.uniqueArray(
      fc.string({ unit: 'grapheme', minLength: 1, maxLength: 30 }).map((name): EntityId => `x/${name}`),
      { minLength: 1, maxLength: 400 },
    )
    fc.assert(
      fc.property(ids, (all) => {
        const table = new EntityTable(4)
        const known = all.slice(0, Math.ceil(all.length / 2))

        for (const id of known) table.add(utf8.encode(id), 0, utf8.encode(id).length)

        known.forEach((id, index) => {
          const shard = shardOfId(id, 4)
          const number = known.slice(0, index).filter((other) => shardOfId(other, 4) === shard).length
          expect(table.findId(id)).toBe(index)
          expect([table.shardOf(index), table.numberOf(index), table.at(shard, number), table.name(index)]).toEqual([
            shard,
            number,
            index,
            id,
          ])
        })
        for (const id of all.slice(known.length)) expect(table.findId(id)).toBe(-1)
      }),
      { numRuns: 60 },
    )
  })

  test('shows a head only once it is settled', () => {
    const table = new EntityTable(4)
    const index = table.add(utf8.encode('x/1'), 0, 3)
    table.advance(index, 2, 7, 9)
    const before = table.head(index)

    table.settle(index, 2, 7, 9)

    expect(before).toBeUndefined()
    expect(table.head(index)).toEqual({ entity: 'x/1', shard: shardOfId('x/1', 4), number: 0, version: 2, term: 7, appendNumber: 9 })
  })

  test('takes a hundred thousand', () => {
    const table = new EntityTable(64)
    for (let entity = 0; entity < 100_000; entity++) {
      const name = utf8.encode(`machine/machine-${entity}`)
      table.add(name, 0, name.length)
    }

    expect([0, 77_777, 99_999].map((entity) => table.findId(`machine/machine-${entity}`))).toEqual([0, 77_777, 99_999])
    expect(table.count).toBe(100_000)
  })
})
