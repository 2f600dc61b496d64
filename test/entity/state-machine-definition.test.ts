import { describe, expect, test } from 'vitest'
import { isMillraceError } from '#base/errors.js'
import { presentEvent } from '#entity/entity-model.js'
import { compileEntity, decodeBase, encodeSnapshot, fold } from '#entity/index.js'
import { checkPurity } from '#entity/purity.js'
import { define, doorWith } from './door.js'

describe('a type with states that is wrong', () => {
  const none = () => undefined

  test.each<[string, object, string]>([
    ['states', { states: [] }, 'give an object of states'],
    ['states', { states: {} }, 'give at least one state'],
    ['decide', { decide: { go: none, push: none } }, 'has receivers in them instead'],
    ['start', { start: 'Nowhere' }, 'there is no state Nowhere, only A, P'],
    ['states.A', { states: { A: none } }, 'give an object with any of parent, onEnter'],
    ['states.on hold', { states: { 'on hold': {} } }, 'a name is an identifier'],
    ['states.A.enter', { states: { A: { enter: none } } }, 'there is no such part'],
    ['states.A.parent', { states: { A: { parent: 'Nowhere' } } }, 'there is no state Nowhere, only A'],
    ['states.P.parent', { states: { A: { parent: 'P' }, P: { parent: 'A' } } }, 'A in P in A goes round'],
    ['states.A.parent', { states: { A: { parent: 'A' } } }, 'A in A goes round'],
    ['states.A.onEnter', { states: { A: { onEnter: 'open' } } }, 'give a function'],
    ['states.A.onExit', { states: { A: { async onExit() {} } } }, 'neither async nor a generator'],
    ['states.A.otherwise', { states: { A: { *otherwise() {} } } }, 'neither async nor a generator'],
    ['states.A.on', { states: { A: { on: [] } } }, 'give an object with a function for each command'],
    ['states.A.on.fly', { states: { A: { on: { fly: none } } } }, 'there is no command of this name'],
    ['states.A.on.go', { states: { A: { on: { async go() {} } } } }, 'neither async nor a generator'],
    ['events.Transitioned', { events: { Noted: {}, Transitioned: {} } }, 'has this event already'],
    ['dropped.Transitioned', { dropped: ['Transitioned'] }, 'the type still has this event'],
    ['renamedStates', { renamedStates: [] }, 'give an object with a state for each former name'],
    ['renamedStates.P', { renamedStates: { P: 'A' } }, 'the type still has this state'],
    ['renamedStates.Old', { renamedStates: { Old: 'Older' } }, 'there is no state Older, only A, P'],
    ['initial', { initial: () => ({ state: 'A' }) }, 'the property `state` is the name of the current state'],
    ['apply.Transitioned', { apply: { Noted: none, Transitioned: none } }, 'there is no event of this name'],
    ['applyTransition', { applyTransition: 1 }, 'give a function'],
    ['applyTransition', { async applyTransition() {} }, 'neither async nor a generator'],
    ['apply.Other', { apply: { Noted: none, Other: none } }, 'there is no event of this name'],
  ])('is refused at %s, case %#', (path, part, next) => {
    let thrown: unknown
    try {
      define(doorWith({ A: { parent: 'P' }, P: {} }, part))
    } catch (error) {
      thrown = error
    }

    expect(isMillraceError(thrown, 'ERR_ENTITY_DEFINITION'), String(thrown)).toBe(true)
    expect(thrown).toHaveProperty('values', { path: `door.${path}` })
    expect(thrown).toHaveProperty('message', expect.stringContaining(next))
  })

  test('is refused when it has what belongs to states without them', () => {
    const { states: _, ...plain } = doorWith({}, { decide: { go: none, push: none }, start: 'A' }) as { states: unknown }

    expect(() => define(plain)).toThrow('there is no such part')
  })
})

describe('events of a machine', () => {
  const entity = define(doorWith({ Closed: {}, Open: {} }, { renamedStates: { Ajar: 'Open' } }))

  test('fold purely', () => {
    const events = [
      { event: 'Transitioned', data: { to: 'Closed' } },
      { event: 'Noted', data: { text: 'squeaks' } },
      { event: 'Transitioned', data: { from: 'Closed', to: 'Open' } },
    ]

    expect(checkPurity(entity, events)).toEqual({ isPure: true, eventCount: 3 })
  })

  test('of former states are of those that they are now, from and to', () => {
    const model = compileEntity(entity)
    const from = { event: 'Transitioned', data: { from: 'Ajar', to: 'Closed' } }

    expect(fold(model, [{ event: 'Transitioned', data: { to: 'Ajar' } }])).toEqual({ state: 'Open', notes: 0 })
    expect(presentEvent(model, from)).toEqual([model.eventIndex('Transitioned'), { from: 'Open', to: 'Closed' }])
  })

  test('have the names of the states in their schema, in whatever order they were declared', () => {
    const other = define(doorWith({ Open: {}, Closed: {} }))

    expect(entity.events['Transitioned']).toEqual(other.events['Transitioned'])
  })
})

describe('a base snapshot of a machine whose states are others now', () => {
  const old = compileEntity(define(doorWith({ Closed: {}, Ajar: {} })))
  const inAjar = encodeSnapshot(old, { state: { state: 'Ajar', notes: 3 }, outcomes: undefined, latestAt: 0 })
  const present = (more: object = {}) => compileEntity(define(doorWith({ Closed: {}, Open: {}, Locked: {} }, more)))

  test('is in the state that its own is called now', () => {
    const decoded = decodeBase(present({ renamedStates: { Ajar: 'Open' } }), inAjar)

    expect(decoded).toMatchObject({ kind: 'ok', state: { state: 'Open', notes: 3 } })
  })

  test('does not fit when nothing is said about its own, which is named', () => {
    expect(decodeBase(present(), inAjar)).toEqual({
      kind: 'mismatch',
      reason: 'the states of door are others since, it is in the state Ajar, which is no more: say under renamedStates what it is now',
    })
  })

  test('fits as it is when its own is still there, or none was entered', () => {
    for (const state of ['Closed', null]) {
      const bytes = encodeSnapshot(old, { state: { state, notes: 3 }, outcomes: undefined, latestAt: 0 })

      expect(decodeBase(present(), bytes)).toMatchObject({ kind: 'ok', state: { state, notes: 3 } })
    }
  })
})
