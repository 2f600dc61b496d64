import { describe, expect, test } from 'vitest'
import type { SupervisionEvent } from '#processes/supervision-event.js'
import { FatalCommands } from '#recovery/fatal-commands.js'

function death(place: { gateway: number; position: number } | null, slot = 0): SupervisionEvent {
  const cause = { kind: 'signal', signal: 'SIGSEGV' } as const
  return { at: 1, kind: 'died', role: 'worker', slot, pid: 1, term: 1, cause, fatalCommand: place }
}

describe('a command over which workers end', () => {
  const place = { gateway: 0, position: 64 }

  test('is parked when it has ended as many as are allowed', () => {
    const fatal = new FatalCommands(3)

    const answers = [death(place), death(place), death(place)].map((event) => fatal.take(event))

    expect(answers).toEqual([undefined, undefined, { ...place, slot: 0, causes: ['SIGSEGV', 'SIGSEGV', 'SIGSEGV'] }])
    expect(fatal.toPark(0)).toEqual([answers[2]])
    expect(fatal.toPark(1)).toEqual([])
  })

  test('is counted anew after another one in between, but not after a death that is nobody’s doing', () => {
    const fatal = new FatalCommands(2)

    const events = [death(place), death({ ...place, position: 128 }), death(place), death(null), death(place)]

    expect(events.map((event) => fatal.take(event) !== undefined)).toEqual([false, false, false, false, true])
  })

  test('is another one in another slot, or from another gateway', () => {
    const fatal = new FatalCommands(2)

    const events = [death(place), death(place, 1), death({ ...place, gateway: 1 })]

    expect(events.map((event) => fatal.take(event))).toEqual([undefined, undefined, undefined])
  })

  test('is forgotten once it is answered', () => {
    const fatal = new FatalCommands(1)
    fatal.take(death(place))
    fatal.take(death({ ...place, position: 128 }))

    fatal.forget(0, ({ position }) => position === 64)

    expect(fatal.toPark(0).map(({ position }) => position)).toEqual([128])
  })
})
