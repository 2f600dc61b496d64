import { MillraceError } from '#base/errors.js'
import { type ChildRole, type Seat, seatName } from '#processes/process-role.js'
import type { MovedPlant } from '#recovery/shard-mover.js'
import { Placement } from '#shards/placement.js'

export const SHARDS = 6
export const WORKERS = 3

/**
 * What goes wrong with a call: the process dies before it does what it is asked, or behind that and before it answers; it answers that it could not; it does it and answers
 * too late; it fails over it and lives.
 */
export const FAULTS = ['dies-before', 'dies-behind', 'busy', 'late', 'fails'] as const
export type Fault = (typeof FAULTS)[number]

interface FakeProcess {
  readonly seat: Seat<ChildRole>
  isReady: boolean
  /** Undefined until it has looked at the placement. */
  owned: Set<number> | undefined
}

/** Processes as far as moves of shards see them, which die as they are told to and have successors that take what is placed at their seat. */
export class FakeMovedPlant implements MovedPlant {
  readonly placement = Placement.even(SHARDS, WORKERS)
  readonly calls: string[] = []
  /** By the number of the call, from 0. */
  readonly faults = new Map<number, Fault>()
  /** Whoever dies by itself, by how many calls were made then. */
  readonly deaths = new Map<number, Seat<ChildRole>>()
  rings = 0
  kills = 0
  /** Worker slots in which two lived that had one shard. */
  readonly shared: string[] = []
  readonly #seats: readonly Seat<ChildRole>[] = [
    ...Array.from({ length: WORKERS }, (_, slot) => ({ role: 'worker' as const, slot })),
    { role: 'gateway', slot: 0 },
  ]
  readonly #holders = new Map<string, FakeProcess>()
  readonly #underWay: Promise<unknown>[] = []

  constructor() {
    for (const seat of this.#seats) {
      const owned = seat.role === 'worker' ? new Set(this.placement.shardsOf(seat.slot)) : undefined
      this.#holders.set(seatName(seat), { seat, isReady: true, owned })
    }
  }

  /** The living workers that have a shard. */
  owners(shard: number): number[] {
    return [...this.#holders.values()].flatMap(({ seat, owned }) => (owned?.has(shard) === true ? [seat.slot] : []))
  }

  /** Everybody works, and nobody is about to die over a call for which the mover has not waited. */
  async settled(): Promise<void> {
    await Promise.allSettled(this.#underWay)
    for (const seat of this.#seats) await this.whenReady(seat)
  }

  senders(): readonly Seat<ChildRole>[] {
    if ([...this.#holders.values()].filter(({ isReady }) => isReady).length < this.#seats.length) throw fault('ERR_PLANT_NOT_READY')
    return this.#seats
  }

  call(seat: Seat<ChildRole>, name: string, args: unknown): Promise<unknown> {
    const answer = this.#call(seat, name, args)
    this.#underWay.push(answer)
    return answer
  }

  async #call(seat: Seat<ChildRole>, name: string, args: unknown): Promise<unknown> {
    const number = this.calls.push(`${name} ${seatName(seat)}`) - 1
    const victim = this.deaths.get(number)
    if (victim !== undefined) this.#die(victim)
    await turn()
    const holder = this.#holders.get(seatName(seat))
    if (holder === undefined) throw fault('ERR_SEAT_EMPTY')
    if (!holder.isReady) throw fault('ERR_UNKNOWN_CALL')
    return this.#answer(holder, name, args as { readonly shards?: readonly number[] }, this.faults.get(number))
  }

  async whenReady(seat: Seat<ChildRole>): Promise<void> {
    while (this.#holders.get(seatName(seat))?.isReady !== true) await turn()
  }

  kill(seat: Seat<ChildRole>): void {
    this.kills++
    this.#die(seat)
  }

  ring(): void {
    this.rings++
  }

  async #answer(
    holder: FakeProcess,
    name: string,
    { shards = [] }: { readonly shards?: readonly number[] },
    wrong: Fault | undefined,
  ): Promise<unknown> {
    if (wrong === 'dies-before') this.#die(holder.seat)
    if (wrong === 'fails') throw fault('ERR_BROKEN')
    if (wrong === 'busy') return { released: false, entities: 0, events: 0 }
    if (this.#holders.get(seatName(holder.seat)) !== holder) throw fault('ERR_PROCESS_GONE')
    if (name === 'release') for (const shard of shards) holder.owned?.delete(shard)
    if (name === 'adopt') for (const shard of shards) this.#own(holder, shard)
    await turn()
    if (wrong === 'dies-behind') this.#die(holder.seat)
    if (this.#holders.get(seatName(holder.seat)) !== holder) throw fault('ERR_PROCESS_GONE')
    if (wrong === 'late') throw fault('ERR_CALL_TIMEOUT')
    return name === 'release' ? { released: true } : { entities: 3, events: 30 }
  }

  #own(holder: FakeProcess, shard: number): void {
    const others = this.owners(shard).filter((slot) => slot !== holder.seat.slot)
    if (others.length > 0) this.shared.push(`${shard} at ${holder.seat.slot} and ${others.join()}`)
    holder.owned?.add(shard)
  }

  #die(seat: Seat<ChildRole>): void {
    const dead = this.#holders.get(seatName(seat))
    this.#holders.delete(seatName(seat))
    if (dead !== undefined) void this.#succeed(seat)
  }

  async #succeed(seat: Seat<ChildRole>): Promise<void> {
    await turn()
    const successor: FakeProcess = { seat, isReady: false, owned: seat.role === 'worker' ? new Set() : undefined }
    this.#holders.set(seatName(seat), successor)
    await turn()
    if (seat.role === 'worker') for (const shard of this.placement.shardsOf(seat.slot)) this.#own(successor, shard)
    await turn()
    await turn()
    successor.isReady = true
  }
}

function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve))
}

function fault(
  code: 'ERR_SEAT_EMPTY' | 'ERR_UNKNOWN_CALL' | 'ERR_PROCESS_GONE' | 'ERR_CALL_TIMEOUT' | 'ERR_BROKEN' | 'ERR_PLANT_NOT_READY',
) {
  return new MillraceError(code, { fact: 'on purpose', action: 'retry' })
}
