import type { Prng } from '#base/prng.js'
import type { Fate } from './fault-order.js'
import type { StepSite } from './step-build.js'

/** What was made ready for the next process of an end, so that it comes to stores that are rare. */
export type Occasion = 'creates' | 'laps' | 'counts' | 'tapped' | 'closes' | 'mends' | 'none'

const OCCASIONS: Readonly<Record<Occasion, (site: StepSite) => boolean>> = {
  creates: ({ within }) => within === 'createChannel',
  laps: ({ within }) => within === 'increment',
  counts: ({ within }) => within === 'increment',
  tapped: ({ file, text }) => file === 'producer' && text.includes('TAP_STATE_WORD'),
  closes: ({ within }) => within === 'detach',
  mends: ({ within }) => within === 'fenceChannel',
  none: () => false,
}

const STEPS_EXPONENT_MAX = 12
const HITS_MAX = 4
/** A site that nobody died at after so many tries is none that a killed end comes to. */
const TRIES_MAX = 25

/** Decides when processes kill themselves, over all channels of a run: at sites that nobody has died at yet, or at any step. */
export class FaultPlan {
  readonly #sites: readonly StepSite[]
  readonly #prng: Prng
  readonly #deaths: number[]
  readonly #tries: number[]

  constructor(sites: readonly StepSite[], prng: Prng) {
    this.#sites = sites
    this.#prng = prng
    this.#deaths = sites.map(() => 0)
    this.#tries = sites.map(() => 0)
  }

  /** Null: until it is killed from outside. */
  fate(occasion: Occasion): Fate | null {
    const prng = this.#prng
    const rare = this.#sites.filter(OCCASIONS[occasion])
    const untouched = rare.filter(({ site }) => this.#deaths[site] === 0)
    if (rare.length > 0 && (untouched.length > 0 || prng.below(2) === 0))
      return this.#at(prng.pick(untouched.length > 0 ? untouched : rare), 1)
    const kind = prng.below(10)
    if (kind < 4) return null
    if (kind < 7) return { steps: 1 + prng.below(2 ** prng.below(STEPS_EXPONENT_MAX)) }
    const open = this.#sites.filter(({ site }) => this.#deaths[site] === 0 && (this.#tries[site] as number) < TRIES_MAX)
    return this.#at(prng.pick(open.length > 0 ? open : this.#sites), 1 + prng.below(HITS_MAX))
  }

  /** At -1: from outside. */
  died(site: number): void {
    if (site < 0) return
    this.#deaths[site] = (this.#deaths[site] as number) + 1
  }

  /** Sites that a process was killed at, of all that there are. */
  get reached(): readonly StepSite[] {
    return this.#sites.filter(({ site }) => (this.#deaths[site] as number) > 0)
  }

  get unreached(): readonly StepSite[] {
    return this.#sites.filter(({ site }) => this.#deaths[site] === 0)
  }

  #at({ site }: StepSite, hit: number): Fate {
    this.#tries[site] = (this.#tries[site] as number) + 1
    return { site, hit }
  }
}
