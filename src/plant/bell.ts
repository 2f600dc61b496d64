import { defineEntity, i32, json } from '#entity/index.js'

/** A timer that a bell is told to set, plain JSON. */
export interface BellTimer {
  /** It is cancelled by. */
  readonly key: string
  /** What the bell says when it goes off. */
  readonly timer: number
  /** After so long, or every so long. */
  readonly ms: number
  readonly isEvery: boolean
}

export interface BellState {
  /** How often timers that go off once did, and the others. */
  once: number
  again: number
}

/** What drills set timers of: it says which of them went off. */
export const Bell = defineEntity({
  name: 'bell',
  events: { Set: { timers: json<readonly BellTimer[]>() }, Rang: { timer: i32() }, RangAgain: { timer: i32() } },
  commands: {
    set: { timers: json<readonly BellTimer[]>() },
    cancel: { keys: json<readonly string[]>() },
    ring: { timer: i32() },
    ringAgain: { timer: i32() },
    look: {},
  },
  volatile: ['look'],
  initial: (): BellState => ({ once: 0, again: 0 }),
  decide: {
    set(_bell, command, { emit, after, every }) {
      emit.Set(command)
      for (const { key, timer, ms, isEvery } of command.timers) {
        if (isEvery) every(ms, 'ringAgain', { timer }, { key })
        else after(ms, 'ring', { timer }, { key })
      }
    },
    /** Replies with those that there were. */
    cancel: (_bell, { keys }, { cancel }) => keys.filter((key) => cancel(key)),
    ring: (_bell, command, { emit }) => emit.Rang(command),
    ringAgain: (_bell, command, { emit }) => emit.RangAgain(command),
    look: ({ once, again }) => ({ once, again }),
  },
  apply: {
    Set() {},
    Rang: (bell) => void bell.once++,
    RangAgain: (bell) => void bell.again++,
  },
})
