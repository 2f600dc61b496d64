import { MillraceError } from '#base/errors.js'
import type { ScanPlan, ScanUnit } from './plan-scan.js'

/** The active segment is sealed once in a while; a block that goes away so often in a row is not there. */
const PLANS_MAX = 8

/** What of a plan is left to be read: positions from `from` up to and without `to`, eaten away from either end. */
export class UnitsLeft {
  from: number
  to: number
  #units: ScanUnit[]
  readonly #plan: (from: number, to: number) => readonly ScanUnit[]
  #plansLeft = PLANS_MAX

  /** `plan` makes the units of a range anew from the directory as it is then. */
  constructor({ resolved, units }: ScanPlan, plan: (from: number, to: number) => readonly ScanUnit[]) {
    this.from = resolved.from
    this.to = resolved.to
    this.#units = [...units].reverse()
    this.#plan = plan
  }

  oldest(): ScanUnit | undefined {
    return this.#units.at(-1)
  }

  newest(): ScanUnit | undefined {
    return this.#units[0]
  }

  passOldest(unit: ScanUnit): void {
    this.#units.pop()
    this.from = Math.max(this.from, unit.endPosition)
    this.#plansLeft = PLANS_MAX
  }

  passNewest(unit: ScanUnit): void {
    this.#units.shift()
    this.to = Math.min(this.to, unit.firstPosition)
    this.#plansLeft = PLANS_MAX
  }

  /** A block was there no more: its segment was sealed or dropped. */
  planAgain(): void {
    if (this.#plansLeft-- === 0)
      throw new MillraceError('ERR_SEGMENT_GONE', {
        fact: 'blocks go away faster than a query can read them',
        action: 'retry',
        next: 'ask again',
      })
    this.#units = [...this.#plan(this.from, this.to)].reverse()
  }
}
