import { describe, expect, test } from 'vitest'
import type { Slot } from '#actors/slot.js'
import { SlotTable } from '#actors/slot-table.js'
import { hash32 } from '#base/hash.js'
import { Prng } from '#base/prng.js'
import { type EntityModel, PlantModel } from '#entity/index.js'
import { Pulse } from './pulse.js'
import { Tally } from './tally.js'
import { usedBytes } from '../garbage.js'

const SHARDS = 8
const plant = new PlantModel([Tally, Pulse])
const bytesOf = (text: string) => new TextEncoder().encode(text)

/** A table, asked by ids. */
class Known {
  readonly table = new SlotTable(SHARDS)

  add(id: string): number {
    const bytes = bytesOf(id)
    const model = plant.model(id.slice(0, id.indexOf('/')))
    if (model === undefined) throw new Error(`no type of ${id}`)
    return this.table.add(bytes, hash32(bytes), model)
  }

  indexOf(id: string): number {
    return this.table.indexOf(bytesOf(id), hash32(bytesOf(id)))
  }

  peek(id: string): Slot | undefined {
    const bytes = bytesOf(id)
    return this.table.peek(hash32(bytes), new DataView(bytes.buffer), 0, bytes.length)
  }

  find(id: string): Slot | undefined {
    const bytes = bytesOf(id)
    return this.table.find(hash32(bytes), new DataView(bytes.buffer), 0, bytes.length)
  }
}

/** As the loader makes it live, and whoever uses it changes it: `mark` tells it from all others. */
function fill(slot: Slot, mark: number): void {
  const text = 's'.repeat(mark % 40)
  slot.status = 'live'
  slot.state = mark
  slot.version = mark
  slot.latestAt = mark * 1e6
  slot.wasUsed = mark % 2 === 0
  slot.setSource({ text, bytes: bytesOf(text) })
}

function expectFilled(slot: Slot, id: string, mark: number): void {
  const { state, version, latestAt, wasUsed, sourceText } = slot
  expect({ state, version, latestAt, wasUsed }).toEqual({ state: mark, version: mark, latestAt: mark * 1e6, wasUsed: mark % 2 === 0 })
  const source = bytesOf(sourceText)
  expect(source).toHaveLength(mark % 40)
  expect(slot.isSource(new DataView(source.buffer), 0, source.length)).toBe(true)
  expect([slot.id, slot.hash, slot.shard, slot.idBytes]).toEqual([id, hash32(bytesOf(id)), hash32(bytesOf(id)) % SHARDS, bytesOf(id)])
}

describe('a table of entities that are live and passive in turns', () => {
  test.each([1, 2])('has one slot at most of each, with what belongs to it, like a map (seed %i)', (seed) => {
    const random = new Prng(seed)
    const known = new Known()
    const ids: string[] = []
    const live = new Map<string, { readonly slot: Slot; mark: number }>()
    const gone: Slot[] = []
    for (let step = 0; step < 5000; step++) {
      const die = random.below(100)
      const id = ids[random.below(ids.length)] ?? ''
      const one = live.get(id)
      if (die < 12) {
        const fresh = `${random.pick(['tally', 'pulse'])}/${'é'.repeat(random.below(3))}${step}`
        expect(known.find(fresh)).toBeUndefined()
        expect(known.add(fresh)).toBe(ids.length)
        ids.push(fresh)
      } else if (one !== undefined && die < (step % 2000 < 1200 ? 40 : 90)) {
        one.slot.forget()
        known.table.tryLetGo(one.slot)
        live.delete(id)
        gone.push(one.slot)
      } else if (id !== '') {
        const slot = known.find(id) as Slot
        expect(slot).toBe(one?.slot ?? slot)
        if (one === undefined) expect([slot.status, slot.version, slot.state, slot.sourceText]).toEqual(['passive', 0, undefined, ''])
        fill(slot, step)
        live.set(id, { slot, mark: step })
      }
    }

    expect(known.table.slotCount).toBe(live.size)
    expect(new Set(known.table.all())).toEqual(new Set([...live.values()].map(({ slot }) => slot)))
    for (const [index, id] of ids.entries()) {
      const one = live.get(id)
      expect(known.indexOf(id)).toBe(index)
      expect(known.peek(id)).toBe(one?.slot)
      expect(known.table.modelAt(index).name).toBe(id.slice(0, id.indexOf('/')))
      expect(known.table.shardAt(index)).toBe(hash32(bytesOf(id)) % SHARDS)
      if (one !== undefined) expectFilled(one.slot, id, one.mark)
    }
    for (let shard = 0; shard < SHARDS; shard++) {
      expect(known.table.knownOf(shard)).toBe(ids.filter((id) => hash32(bytesOf(id)) % SHARDS === shard).length)
    }
    expect(gone.every((slot) => slot.isGone)).toBe(true)
  })

  test('remembers of whom it has timers while they are passive, until it forgets those of a shard', () => {
    const known = new Known()
    const indexes = Array.from({ length: 100 }, (_, name) => known.add(`tally/${name}`))
    for (const index of indexes) {
      const slot = known.table.at(index)
      slot.areTimersKnown = index % 2 === 0
      known.table.tryLetGo(slot)
    }
    expect(known.table.slotCount).toBe(0)

    known.table.forgetTimers(new Set([0, 1, 2]))

    const areKnown = indexes.map((index) => known.table.at(index).areTimersKnown)
    expect(areKnown).toEqual(indexes.map((index) => index % 2 === 0 && known.table.shardAt(index) > 2))
  })
})

describe('a slot that somebody counts on', () => {
  test.each([
    ['is live', (slot: Slot) => void (slot.status = 'live')],
    ['is loading', (slot: Slot) => void (slot.status = 'loading')],
    ['is looked at by the sweep of passivation', (slot: Slot) => void (slot.isWatched = true)],
    ['has commands that wait', (slot: Slot) => void (slot.stalled = [])],
    ['has readers that wait', (slot: Slot) => void (slot.waiters = [])],
  ])('stays while it %s', (_, hold) => {
    const known = new Known()
    const slot = known.table.at(known.add('tally/a'))
    hold(slot)

    known.table.tryLetGo(slot)

    expect(slot.isGone).toBe(false)
    expect(known.peek('tally/a')).toBe(slot)
  })
})

describe('a slot that was let go', () => {
  test('says whose it was, and is good for nothing else', () => {
    const known = new Known()
    const former = known.table.at(known.add('tally/ä'))
    known.table.tryLetGo(former)
    const slot = known.find('tally/ä') as Slot
    slot.status = 'live'

    expect(slot).not.toBe(former)
    expect(slot.isSame(former)).toBe(true)
    expect([former.id, former.hash, former.shard, former.idBytes]).toEqual([slot.id, slot.hash, slot.shard, slot.idBytes])
    expect([former.status, former.tryUse(1), former.isHeld]).toEqual(['passive', false, false])
    for (const use of [
      () => void (former.status = 'live'),
      () => void (former.wasUsed = true),
      () => former.forget(),
      () => former.index,
      () => former.areTimersKnown,
    ])
      expect(use).toThrow(/broken: .* slot that was let go/)
    expect(known.find('tally/ä')).toBe(slot)
  })
})

describe('many passive entities', () => {
  test('cost their ids and a few tens of bytes each, also when all of them were live', () => {
    const ids = Array.from({ length: 50_000 }, (_, name) => bytesOf(`tally/${100_000 + name}`))
    const model = plant.model('tally') as EntityModel
    const before = usedBytes()
    const known = new Known()
    for (const id of ids) fill(known.table.at(known.table.add(id, hash32(id), model)), 7)
    const live = usedBytes() - before

    for (const slot of known.table.all()) {
      slot.forget()
      known.table.tryLetGo(slot)
    }

    const passive = usedBytes() - before
    expect(known.table.slotCount).toBe(0)
    expect(live / ids.length).toBeGreaterThan(150)
    expect(passive / ids.length).toBeLessThan(70)
  })
})
