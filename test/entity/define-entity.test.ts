import { describe, expect, test } from 'vitest'
import { isMillraceError } from '#base/errors.js'
import { defineEntity, f64, label } from '#entity/index.js'
import { Press } from './press.js'

/** As plain JavaScript would call it. */
const define = defineEntity as unknown as (definition: unknown) => unknown

const RIGHT = {
  name: 'press',
  events: { Sampled: { temperature: f64() } },
  commands: { sample: { temperature: f64() } },
  initial: () => ({ temperature: 0 }),
  decide: { sample() {} },
  apply: { Sampled() {} },
}

describe('a definition', () => {
  test('makes events and commands as data', () => {
    expect(Press.event.Sampled({ temperature: 95 })).toEqual({ event: 'Sampled', data: { temperature: 95 } })
    expect(Press.command.sample({ temperature: 95 })).toEqual({ command: 'sample', data: { temperature: 95 } })
  })

  test('has defaults for what it does not say', () => {
    expect(define(RIGHT)).toMatchObject({ snapshotEvery: 1000, class: 'normal' })
    expect(define({ ...RIGHT, snapshotEvery: 5, class: 'critical' })).toMatchObject({ snapshotEvery: 5, class: 'critical' })
  })

  test('cannot be changed', () => {
    expect(() => Object.assign(Press, { name: 'other' })).toThrow(TypeError)
    expect(() => Object.assign(Press.event, { Other: () => 1 })).toThrow(TypeError)
  })
})

describe('a definition that is wrong', () => {
  const shared = {}
  const throwing = () => {
    throw new Error('oops')
  }

  test.each<[string, object, string]>([
    ['Press.name', { name: 'Press' }, 'lower-case letters'],
    ['9press.name', { name: '9press' }, 'lower-case letters'],
    ['undefined.name', { name: undefined }, 'lower-case letters'],
    ['press.events', { events: [] }, 'give an object of objects of fields'],
    ['press.events.__proto__', { events: JSON.parse('{"__proto__":{}}') }, 'taken by JavaScript'],
    ['press.events.constructor', { events: { constructor: {} } }, 'taken by JavaScript'],
    ['press.commands.then', { commands: JSON.parse('{"then":{}}') }, 'taken by JavaScript'],
    ['press.events.not-a-name', { events: { 'not-a-name': {} } }, 'a name is an identifier'],
    ['press.events.Sampled', { events: { Sampled: 5 } }, 'give an object of fields'],
    ['press.events.Sampled.temperature', { events: { Sampled: { temperature: f64 } } }, 'give a field and call it'],
    ['press.events.Sampled.temperature', { events: { Sampled: { temperature: 'f64' } } }, 'give a field and call it'],
    ['press.events.Sampled', { events: { Sampled: { temperature: {} } } }, 'temperature: not a field'],
    ['press.events.Sampled', { events: { Sampled: { code: label({ oneOf: ['A', 'A'] }) } } }, 'code: oneOf has a value twice'],
    ['press.commands.sample', { commands: { sample: { valueOf: f64() } } }, 'valueOf: the name valueOf is taken by JavaScript'],
    ['press.decide.sample', { decide: {} }, 'give a function for this command'],
    ['press.decide.other', { decide: { sample() {}, other() {} } }, 'there is no command of this name'],
    ['press.decide.sample', { decide: { async sample() {} } }, 'neither async nor a generator'],
    ['press.apply.Sampled', { apply: { Sampled: 5 } }, 'give a function for this event'],
    ['press.apply.Sampled', { apply: { *Sampled() {} } }, 'neither async nor a generator'],
    ['press.apply', { apply: undefined }, 'give an object with a function for each event'],
    ['press.snapshotEvery', { snapshotEvery: 0 }, 'a whole number of rows above 0'],
    ['press.volatile', { volatile: 'sample' }, "a list of commands, such as ['look']"],
    ['press.volatile', { volatile: [undefined] }, 'there is no command undefined'],
    ['press.volatile', { volatile: ['glance'] }, "there is no command 'glance'"],
    ['press.class', { class: 'urgent' }, "use 'critical' or 'normal'"],
    ['press.snapshots', { snapshots: 5 }, 'there is no such part'],
    ['press.initial', { initial: {} }, 'give a function'],
    ['press.initial', { initial: () => [] }, 'return a plain object'],
    ['press.initial', { initial: () => shared }, 'return a new object each time'],
    ['press.initial', { initial: () => ({ socket: new URL('http://localhost') }) }, 'an instance of URL path=state.socket'],
    ['press.initial', { initial: throwing }, 'it threw: oops'],
  ])('is refused with its path %s, case %#', (path, part, next) => {
    let thrown: unknown
    try {
      define({ ...RIGHT, ...part })
    } catch (error) {
      thrown = error
    }

    expect(isMillraceError(thrown, 'ERR_ENTITY_DEFINITION'), String(thrown)).toBe(true)
    expect(thrown).toHaveProperty('values', { path })
    expect(thrown).toHaveProperty('message', expect.stringContaining(next))
  })

  test.each([undefined, null, 5, []])('is refused when it is %j', (definition) => {
    expect(() => define(definition)).toThrow('give an object with name')
  })
})
