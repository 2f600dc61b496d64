import { assert } from '#base/assert.js'
import { MillraceError } from '#base/errors.js'
import { BackOff } from './back-off.js'
import type { Edition } from './editions.js'
import type { Member } from './member.js'
import { CHILD_ROLES, type ChildRole, type Seat, seatName } from './process-role.js'
import { SupervisedSeat } from './supervised-seat.js'
import type { SupervisionOptions } from './supervision-options.js'

/** The seats of a plant in the order in which they are filled: journal first, then workers, then gateways, each role by slot. */
export class Seats implements Iterable<SupervisedSeat> {
  readonly #options: SupervisionOptions
  #all: readonly SupervisedSeat[] = []

  constructor(options: SupervisionOptions, edition: Edition) {
    this.#options = options
    for (const role of CHILD_ROLES) for (let slot = 0; slot < options.roles[role].count; slot++) this.add({ role, slot }, edition)
  }

  [Symbol.iterator](): Iterator<SupervisedSeat> {
    return this.#all[Symbol.iterator]()
  }

  /** Whether all of a role are held by processes that work, but for those that come or go. */
  areReady(role: ChildRole): boolean {
    return this.#all.every((seat) => seat.role !== role || seat.isReady || seat.isComing || seat.isGoing)
  }

  get failingCount(): number {
    return this.#all.filter((seat) => seat.isFailing).length
  }

  at(place: Seat<ChildRole>): SupervisedSeat | undefined {
    return this.#all.find((seat) => seat.role === place.role && seat.slot === place.slot)
  }

  heldBy(member: Member): SupervisedSeat | undefined {
    return this.#all.find((seat) => seat.holder === member)
  }

  /** Throws ERR_SEAT_EMPTY when nobody holds it, or when there is no such seat. */
  holder(place: Seat<ChildRole>): Member {
    const seat = this.at(place)
    if (seat?.holder !== undefined) return seat.holder
    throw new MillraceError('ERR_SEAT_EMPTY', {
      fact: seat === undefined ? 'the plant has no such seat' : 'nobody holds the seat at the moment',
      action: seat === undefined ? 'operator' : 'retry',
      values: { seat: seatName(place) },
      next: 'look at the seats with `millrace status`',
    })
  }

  /** One that nobody holds yet. */
  add({ role, slot }: Seat<ChildRole>, edition: Edition): SupervisedSeat {
    assert(this.at({ role, slot }) === undefined, 'a seat is there once')
    const { limits, clock, prng } = this.#options
    const seat = new SupervisedSeat(role, slot, edition, new BackOff(limits.backOff, clock, prng), clock)
    this.#all = [...this.#all, seat].sort((a, b) => CHILD_ROLES.indexOf(a.role) - CHILD_ROLES.indexOf(b.role) || a.slot - b.slot)
    return seat
  }

  remove(gone: SupervisedSeat): void {
    this.#all = this.#all.filter((seat) => seat !== gone)
  }
}
