import crypto, { randomUUID } from 'node:crypto'
import { describe, expect, test } from 'vitest'
import { ChangedWorld, type World } from '#entity/changed-world.js'

const ASKED: Readonly<Record<string, () => unknown>> = {
  'Date.now': () => Date.now(),
  'new Date': () => new Date().getTime(),
  Date: () => Date(),
  'performance.now': () => performance.now(),
  'process.hrtime': () => process.hrtime().join(),
  'process.hrtime.bigint': () => process.hrtime.bigint(),
  'process.uptime': () => process.uptime(),
  'Math.random': () => Math.random(),
  'randomUUID of a module': () => randomUUID(),
  'crypto.randomUUID': () => globalThis.crypto.randomUUID(),
  'crypto.getRandomValues': () => globalThis.crypto.getRandomValues(new Uint32Array(1))[0],
  'crypto.randomBytes': () => crypto.randomBytes(4).toString('hex'),
  'crypto.randomInt': () => crypto.randomInt(1000),
  'crypto.randomFillSync': () => crypto.randomFillSync(Buffer.alloc(4)).toString('hex'),
}

function answersIn(world: World): Record<string, unknown> {
  const changed = new ChangedWorld(world)
  try {
    return changed.during(() => Object.fromEntries(Object.entries(ASKED).map(([name, ask]) => [name, ask()])))
  } finally {
    changed.putBack()
  }
}

describe('two changed worlds', () => {
  const [one, again, other] = (['least', 'least', 'greatest'] as const).map((random) =>
    answersIn({ clock: random === 'least' ? 'still' : 'ahead', random }),
  ) as [Record<string, unknown>, Record<string, unknown>, Record<string, unknown>]

  test.each(Object.keys(ASKED))('answer %s differently, and the same each time', (name) => {
    expect(again[name]).toEqual(one[name])
    expect(other[name]).not.toEqual(one[name])
  })
})

describe('a changed world', () => {
  test('tells the truth while it is not on, and leaves nothing behind', () => {
    const before = [Date, Math.random, process.hrtime, crypto.randomUUID]
    const world = new ChangedWorld({ clock: 'ahead', random: 'greatest' })
    const years = [new Date().getFullYear(), world.during(() => new Date().getFullYear())]
    world.putBack()

    expect(years[0]).toBeLessThan(2091)
    expect(years[1]).toBeGreaterThanOrEqual(2091)
    expect([Date, Math.random, process.hrtime, crypto.randomUUID]).toEqual(before)
    expect(Object.hasOwn(performance, 'now')).toBe(false)
  })

  test('ends loops that wait for a clock that stands, or draw until they like what they got', () => {
    const world = new ChangedWorld({ clock: 'still', random: 'least' })
    const drawn = world.during(() => {
      const end = Date.now() + 1000
      while (Date.now() < end) continue
      let number = 0
      while (number === 0) number = Math.random()
      return number
    })
    world.putBack()

    expect(drawn).toBeGreaterThan(0)
  })
})
