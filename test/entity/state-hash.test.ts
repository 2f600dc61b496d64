import { describe, expect, test } from 'vitest'
import { entityHash, PlantHash } from '#entity/index.js'

describe('the hash of an entity', () => {
  test('depends on id, version and state, and not on the order of properties', () => {
    const hash = entityHash('press/1', 3, { a: 1, b: 0 })

    expect(hash).toHaveLength(32)
    expect(entityHash('press/1', 3, { b: 0, a: 1 })).toEqual(hash)
    expect(entityHash('press/2', 3, { a: 1, b: 0 })).not.toEqual(hash)
    expect(entityHash('press/1', 4, { a: 1, b: 0 })).not.toEqual(hash)
    expect(entityHash('press/1', 3, { a: 1, b: -0 })).not.toEqual(hash)
  })
})

describe('the hash of a plant', () => {
  const entities = Array.from({ length: 20 }, (_, index) => [`press/${index}`, index + 1, { alarms: index }] as const)

  test('is the same in any order and over any number of processes', () => {
    const whole = hashOf(entities)
    const merged = hashOf(entities.slice(7).toReversed())
    merged.merge(hashOf(entities.slice(0, 3)))
    merged.merge(hashOf(entities.slice(3, 7)).hex())

    expect(whole.hex()).toMatch(/^[0-9a-f]{64}$/)
    expect(merged.hex()).toBe(whole.hex())
  })

  test('is another one with an entity missing, or two with their states exchanged', () => {
    const exchanged = entities.map(([id, version, state], index) => [id, version, index < 2 ? { alarms: 1 - index } : state] as const)

    expect(hashOf(entities.slice(1)).hex()).not.toBe(hashOf(entities).hex())
    expect(hashOf(exchanged).hex()).not.toBe(hashOf(entities).hex())
  })

  test('is zero without entities', () => {
    expect(new PlantHash().hex()).toBe('0'.repeat(64))
  })

  test('takes no hash of another length', () => {
    expect(() => new PlantHash().merge('abcd')).toThrow('64 hex digits')
  })
})

function hashOf(entities: readonly (readonly [string, number, object])[]): PlantHash {
  const hash = new PlantHash()
  for (const [id, version, state] of entities) hash.add(id, version, state)
  return hash
}
