import { AssertionError } from 'node:assert'
import { describe, expect, test } from 'vitest'
import { given } from '#testing.js'
import { Press } from './press.js'

const HOT = Press.event.AlarmRaised({ code: 'HOT', value: 91 })

describe('given events, when a command comes', () => {
  test('then its events, its reply and the state hold', () => {
    given(Press, [HOT])
      .when.sample({ temperature: 95, force: 3 }, { at: 7 })
      .then([Press.event.Sampled({ temperature: 95, force: 3 }), Press.event.AlarmRaised({ code: 'OVERHEAT', value: 95 })])
      .thenReply({ alarms: 1, at: 7 })
      .thenState({
        temperature: 95,
        force: 3,
        alarms: 2,
        codes: ['HOT', 'OVERHEAT'],
        seen: new Map([
          ['HOT', 91],
          ['OVERHEAT', 95],
        ]),
        since: new Date(0),
      })
  })

  test('then defaults may be left out on either side', () => {
    given(Press)
      .when.sample({ temperature: 1 })
      .then([Press.event.Sampled({ temperature: 1 })])
  })

  test('then a refusal holds, with and without its detail', () => {
    given(Press, [HOT, HOT]).when.sample({ temperature: 1 }).thenRefused('TOO_MANY_ALARMS').thenRefused('TOO_MANY_ALARMS', { alarms: 2 })
  })

  test('then a failure holds', () => {
    given(Press).when.misbehave({ how: 'throw' }).thenFailed('on purpose').thenFailed(/^on/)
  })

  test('a test may return what it says', () =>
    given(Press)
      .when.sample({ temperature: 1 })
      .then([Press.event.Sampled({ temperature: 1 })]))
})

describe('what does not hold', () => {
  test.each([
    [
      'other data',
      () =>
        given(Press)
          .when.sample({ temperature: 1 })
          .then([Press.event.Sampled({ temperature: 2 })]),
      /events differ.*expected.*temperature: 2.*got.*temperature: 1/s,
    ],
    [
      '-0 for 0',
      () =>
        given(Press)
          .when.sample({ temperature: 0 })
          .then([Press.event.Sampled({ temperature: -0 })]),
      /events differ/,
    ],
    ['no events', () => given(Press).when.sample({ temperature: 1 }).then([]), /events differ/],
    [
      'events in another order',
      () =>
        given(Press)
          .when.sample({ temperature: 99 })
          .then([Press.event.AlarmRaised({ code: 'OVERHEAT', value: 99 }), Press.event.Sampled({ temperature: 99 })]),
      /events differ/,
    ],
    [
      'an event of a refused command',
      () => given(Press, [HOT, HOT]).when.sample({ temperature: 1 }).then([]),
      /was refused with TOO_MANY_ALARMS.*alarms: 2/s,
    ],
    [
      'a refusal of a done command',
      () => given(Press).when.sample({ temperature: 1 }).thenRefused('X'),
      /the command was done.*refused: 'X'/s,
    ],
    ['another code', () => given(Press, [HOT, HOT]).when.sample({ temperature: 1 }).thenRefused('OTHER'), /refusal differ/],
    [
      'another detail',
      () => given(Press, [HOT, HOT]).when.sample({ temperature: 1 }).thenRefused('TOO_MANY_ALARMS', { alarms: 3 }),
      /detail of the refusal differ.*alarms: 3.*alarms: 2/s,
    ],
    ['another reply', () => given(Press).when.sample({ temperature: 1 }).thenReply({ alarms: 9 }), /reply differ/],
    ['another state', () => given(Press).thenState({} as never), /state differ/],
    ['a failed command', () => given(Press).when.misbehave({ how: 'throw' }).then([]), /the command failed: on purpose/],
    ['a failure of a done command', () => given(Press).when.sample({ temperature: 1 }).thenFailed('x'), /the command was done/],
    ['another failure', () => given(Press).when.misbehave({ how: 'throw' }).thenFailed('x'), /failure is another one/],
    [
      'a command that does not fit',
      () => given(Press).when.sample({ temperature: 'x' as never }),
      /press.sample does not fit its schema, temperature: expected a number/,
    ],
  ])('throws an AssertionError that shows both sides: %s', (_name, claim, message) => {
    const thrown = thrownBy(claim)

    expect(thrown).toBeInstanceOf(AssertionError)
    expect((thrown as Error).message).toMatch(message)
  })

  test('throws on events before that do not fit', () => {
    expect(() => given(Press, [{ event: 'Sampled', data: { temperature: 'x' } } as never])).toThrow(
      "temperature: expected a number, got 'x'",
    )
  })

  test('throws when it is awaited for lack of a then', async () => {
    await expect(async () => {
      await (given(Press).when.sample({ temperature: 1 }) as unknown as Promise<unknown>)
    }).rejects.toThrow('this is no promise')
  })
})

describe('a decide that changes the state', () => {
  test.each(['change a number', 'change a list', 'change a map', 'change a date'])('is found: %s', (how) => {
    const thrown = thrownBy(() => given(Press, [HOT]).when.misbehave({ how }))

    expect(thrown).toBeInstanceOf(AssertionError)
    expect((thrown as Error).message).toMatch(/press\.misbehave: decide changed the state \(.*\); only apply may, so emit an event instead/)
  })
})

function thrownBy(call: () => unknown): unknown {
  try {
    call()
  } catch (error) {
    return error
  }
  return undefined
}
