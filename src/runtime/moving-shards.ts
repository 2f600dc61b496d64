import type { Worker } from '#actors/worker.js'
import type { Clock } from '#base/clock.js'
import { settled } from './role-process.js'

/** For what was sent to be finished; with a disk that answers it takes some milliseconds. */
const RELEASE_WITHIN_MS = 1000

type Calls = Readonly<Record<string, (args: unknown) => Promise<unknown>>>

/** Shards, as the calls name them. */
interface Shards {
  readonly shards: readonly number[]
}

/**
 * What a worker process does when shards move, asked by its supervisor. `hold`: from the answer on nothing goes to shards that are held, since between two turns all that was sent can be seen. `release`: gives shards up,
 * answers whether it has. `adopt`: takes shards, answers when they are loaded.
 */
export function movingShards(worker: Worker, { clock, wake }: { readonly clock: Clock; readonly wake: () => void }): Calls {
  return {
    hold: async () => ({}),
    release: async (args) => {
      const release = worker.release((args as Shards).shards)
      wake()
      const released = await settled(() => release.isOver, RELEASE_WITHIN_MS, clock)
      if (!released) release.cancel()
      return { released }
    },
    adopt: async (args) => {
      const loaded = worker.adopt((args as Shards).shards)
      wake()
      const { entities, events } = await loaded
      return { entities, events }
    },
  }
}
