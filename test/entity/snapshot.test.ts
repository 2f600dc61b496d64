import { describe, expect, test } from 'vitest'
import {
  compileEntity,
  createOutcomes,
  decodeSnapshot,
  defineEntity,
  encodeCanonical,
  encodeSnapshot,
  f64,
  fold,
  OUTCOME_REPLY,
} from '#entity/index.js'
import { Press } from './press.js'

const model = compileEntity(Press)

describe('a snapshot', () => {
  const state = fold(model, [Press.event.Sampled({ temperature: 3 }), Press.event.AlarmRaised({ code: 'HOT', value: -0 })])
  const outcomes = createOutcomes()
  outcomes.record('device', 4, OUTCOME_REPLY, new Uint8Array([1]), 2)
  const bytes = encodeSnapshot(model, { state, outcomes, latestAt: 77 })

  test('gives back state, outcomes and the latest time', () => {
    const decoded = decodeSnapshot(model, bytes)

    if (decoded.kind !== 'ok') throw new Error(decoded.reason)
    expect(decoded.state).toStrictEqual(state)
    expect(decoded.outcomes.lookup('device', 4)).toEqual({ kind: OUTCOME_REPLY, bytes: new Uint8Array([1]), version: 2 })
    expect(decoded.latestAt).toBe(77)
  })

  test('made under other events does not fit, and one made under other commands does', () => {
    const events = { Sampled: { temperature: f64('°F') }, AlarmRaised: Press.events.AlarmRaised }
    const parts = { name: 'press', initial: Press.initial, apply: { Sampled() {}, AlarmRaised() {} } } as const
    const otherEvents = compileEntity(defineEntity({ ...parts, events, commands: {}, decide: {} }))
    const otherCommands = compileEntity(defineEntity({ ...parts, events: Press.events, commands: { stop: {} }, decide: { stop() {} } }))

    expect(decodeSnapshot(otherEvents, bytes)).toEqual({
      kind: 'mismatch',
      reason: 'the events or the first state of press have changed since',
    })
    expect(decodeSnapshot(otherCommands, bytes).kind).toBe('ok')
  })

  test('of another format does not fit', () => {
    expect(decodeSnapshot(model, bytes.with(2, 9))).toEqual({ kind: 'mismatch', reason: 'its format is 9, this is 3' })
  })

  test('of the format before, with its hashes and outcomes in the encoding, gives the same', () => {
    const plain = { dropped: 0, sources: [['device', 4, [[4, OUTCOME_REPLY, new Uint8Array([1]), 2]]]] }
    const body = encodeCanonical([model.foldHash, model.shapeHash, state, plain, 77])

    const decoded = decodeSnapshot(model, Uint8Array.of(0x4d, 0x53, 2, ...body))

    expect(decoded).toEqual(decodeSnapshot(model, bytes))
    expect(decodeSnapshot(model, bytes.with(3, (bytes[3] as number) ^ 1)).kind).toBe('mismatch')
  })

  test('cut off anywhere is damaged', () => {
    for (let length = 0; length < bytes.length; length++) expect(decodeSnapshot(model, bytes.subarray(0, length)).kind).not.toBe('ok')
    expect(decodeSnapshot(model, bytes.subarray(0, 20)).kind).toBe('damaged')
    expect(decodeSnapshot(model, new Uint8Array(0)).kind).toBe('damaged')
  })
})
