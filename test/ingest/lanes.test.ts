import { describe, expect, test } from 'vitest'
import { defineEntity, PlantModel } from '#entity/index.js'
import { type Lane, Lanes, type Route } from '#ingest/lanes.js'

const Press = defineEntity({ name: 'press', events: {}, commands: {}, initial: () => ({}), decide: {}, apply: {} })
const PLANT = new PlantModel([Press])

describe('lanes that are kept', () => {
  test('are found again by source and entity', () => {
    const lanes = new Lanes(PLANT, 'door:1')
    const route = lanes.route('press/1') as Route

    const [a, b] = [lanes.lane(route, 'a'), lanes.lane(route, 'b')]

    expect(lanes.route('press/1')).toBe(route)
    expect(lanes.lane(route, 'a')).toBe(a)
    expect(lanes.lane(route, 'b')).toBe(b)
    expect(a).not.toBe(b)
    expect(lanes.lane(lanes.route('press/2') as Route, 'a')).not.toBe(a)
  })

  test.each([
    ['many entities', (index: number) => [`press/${index}`, 's']],
    ['many sources', (index: number) => ['press/1', `s${index}`]],
  ])('stay bounded over %s, and those with something in flight stay', (_, nth) => {
    const lanes = new Lanes(PLANT, 'door:1', 100)
    const busyRoute = lanes.route('press/busy') as Route
    const busy = lanes.lane(busyRoute, 's') as Lane
    busy.inFlight = 3

    for (let index = 0; index < 1000; index++) {
      const [entity, source] = nth(index) as [string, string]
      const route = lanes.route(entity) as Route
      expect(lanes.lane(route, source)).toBeTypeOf('object')
      expect(lanes.route(entity)).toBe(route)
    }

    expect(lanes.keptCount).toBeLessThanOrEqual(102)
    expect(lanes.lane(lanes.route('press/busy') as Route, 's')).toBe(busy)
  })

  test('stay bounded over entities whose commands were never taken', () => {
    const lanes = new Lanes(PLANT, 'door:1', 100)

    for (let index = 0; index < 1000; index++) lanes.route(`press/${index}`)

    expect(lanes.keptCount).toBeLessThanOrEqual(101)
  })
})
