import type { Clock } from '#base/clock.js'
import { MillraceError } from '#base/errors.js'
import { type ChildRole, type Seat, seatName } from '#processes/process-role.js'
import type { Placement } from '#shards/placement.js'
import { isLostCall } from './patience.js'

/** The plant as far as a move of shards needs it. */
export interface MovedPlant {
  /** Nobody else writes it while shards move. */
  readonly placement: Pick<Placement, 'hold' | 'move' | 'free'>
  /** The seats whose holders send to shards. */
  senders(): readonly Seat<ChildRole>[]
  /** Asks a seat's holder. Rejects with ERR_SEAT_EMPTY, ERR_UNKNOWN_CALL where it does not work yet, with its own error, ERR_CALL_TIMEOUT or ERR_PROCESS_GONE. */
  call(seat: Seat<ChildRole>, name: string, args: unknown, withinMs: number): Promise<unknown>
  /** Resolves when a process works there; rejects when the plant stops. */
  whenReady(seat: Seat<ChildRole>): Promise<void>
  /** SIGKILL to the seat's holder, if there is one. */
  kill(seat: Seat<ChildRole>): void
  /** Has every process look at the placement, also those that wait for something. */
  ring(): void
}

/** Milliseconds, from the moment at which nothing new was sent to the shards. */
export interface MovedShards {
  /** Until the worker that got them had loaded them: so long at most was any command held up. */
  readonly pauseMs: number
  /** The part of it in which the worker that had them finished what it had of them. */
  readonly leftMs: number
  readonly entities: number
  readonly events: number
}

/** Longer than what is under way between entities takes; what is stuck is none of a move's business. */
const HOLD_WITHIN_MS = 1000
/** A worker says by itself, long before, when it cannot. */
const RELEASE_WITHIN_MS = 10_000
/** There is no way back any more: a load takes as long as it takes, and one that hangs ends with its process. */
const ADOPT_WITHIN_MS = 3_600_000

/**
 * Moves shards from one worker to another while both work:
 *
 *   hold ─▶ senders have nothing under way ─▶ the worker lets them go ─▶ placed anew ─▶ the other takes them, freed
 *     └──────────────┴────────────────────────────┴─▶ freed, nothing has changed
 *
 * Nobody has them twice: the placement changes after one has let them go, and before the other is asked. Nobody has them not at all: whoever takes the seat of one that
 * dies has the shards that the placement says at that moment, and one of which it is not known what it has let go is killed. Rejects when nothing has changed,
 * or when the plant stops.
 */
export async function moveShards(
  plant: MovedPlant,
  clock: Clock,
  shards: readonly number[],
  { from, to }: { readonly from: number; readonly to: number },
): Promise<MovedShards> {
  const { placement } = plant
  const source: Seat<ChildRole> = { role: 'worker', slot: from }
  const target: Seat<ChildRole> = { role: 'worker', slot: to }
  const startedMs = clock.monotonicMs()
  placement.hold(shards)
  try {
    await Promise.all(plant.senders().map((seat) => plant.call(seat, 'hold', {}, HOLD_WITHIN_MS)))
    await release(plant, source, shards)
  } catch (error) {
    placement.free(shards)
    plant.ring()
    throw error
  }
  // In the turn of the event loop in which the answer came: a successor of either worker takes its seat before or after.
  placement.move(shards, to)
  const leftMs = clock.monotonicMs() - startedMs
  const adopting = adopt(plant, target, shards)
  // What is sent from now on waits in the channel of the one that loads.
  placement.free(shards)
  plant.ring()
  const { entities, events } = await adopting
  return { pauseMs: clock.monotonicMs() - startedMs, leftMs, entities, events }
}

async function release(plant: MovedPlant, seat: Seat<ChildRole>, shards: readonly number[]): Promise<void> {
  let answer: unknown
  try {
    answer = await plant.call(seat, 'release', { shards }, RELEASE_WITHIN_MS)
  } catch (error) {
    // It lives and may have let them go; its successor has them for certain.
    if (!isLostCall(error)) plant.kill(seat)
    throw error
  }
  if ((answer as { readonly released: boolean }).released) return
  throw new MillraceError('ERR_SHARDS_BUSY', {
    fact: 'the worker could not finish what it had of the shards in time',
    action: 'retry',
    values: { worker: seatName(seat), shards: shards.join(',') },
    next: 'try again when the plant has less to do, or when the journal is back',
  })
}

/** However many workers die over it. */
async function adopt(
  plant: MovedPlant,
  seat: Seat<ChildRole>,
  shards: readonly number[],
): Promise<Pick<MovedShards, 'entities' | 'events'>> {
  for (;;) {
    try {
      return (await plant.call(seat, 'adopt', { shards }, ADOPT_WITHIN_MS)) as Pick<MovedShards, 'entities' | 'events'>
    } catch (error) {
      if (!isLostCall(error)) plant.kill(seat)
      // It may have taken its seat before the shards were placed there, so it is asked, too. Who has them already answers at once.
      await plant.whenReady(seat)
    }
  }
}
