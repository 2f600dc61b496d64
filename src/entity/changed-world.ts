import crypto from 'node:crypto'
import { syncBuiltinESMExports } from 'node:module'

/** What clocks and random numbers say to code that should not ask them. What is left out is real. */
export interface World {
  /** `still`: a day in 2001, and time stands; `ahead`: in 2091, and more than an hour later at each look. What an event says lies between. */
  readonly clock?: 'still' | 'ahead'
  /** Mostly the least or the greatest number that there is, so that any threshold shows at one of them. */
  readonly random?: 'least' | 'greatest'
}

const STILL_MS = Date.UTC(2001, 1, 3, 4, 5, 6, 7)
const AHEAD_MS = Date.UTC(2091, 9, 21, 19, 46, 52, 348)
const AHEAD_STEP_MS = 3_723_004
/** A clock that stands for ever would keep a loop that waits for it. */
const STILL_LOOKS_PER_SECOND = 4096
/** One in so many random numbers is any: code that draws until it likes what it got comes to an end. */
const DRAWS_PER_ANY = 16
/** Multiples of the golden ratio, of which the whole part is left out, are spread evenly. */
const GOLDEN = 0.618033988749895
/** Between loading code and applying it: the clocks have gone on. */
const LOOKS_OF_LOADING = 1000

/**
 * Replaces the clocks and the sources of random numbers of this process (Date, performance, process.hrtime and uptime, Math.random, node:crypto): the new ones say
 * what the world says while `during` or `whileLoading` runs, and the truth otherwise. Made before code is loaded, it also holds for functions that the code
 * takes hold of. The same calls get the same answers each time. `putBack` undoes it. One at a time.
 */
export class ChangedWorld {
  readonly #world: World
  readonly #putBack: (() => void)[] = []
  #isOn = false
  #looks = 0
  #draws = 0

  constructor(world: World) {
    this.#world = world
    if (world.clock !== undefined) this.#replaceClocks()
    if (world.random !== undefined) this.#replaceRandom()
    syncBuiltinESMExports()
  }

  during<T>(work: () => T): T {
    const wasOn = this.#isOn
    this.#isOn = true
    try {
      return work()
    } finally {
      this.#isOn = wasOn
    }
  }

  async whileLoading<T>(load: () => Promise<T>): Promise<T> {
    this.#isOn = true
    try {
      return await load()
    } finally {
      this.#isOn = false
    }
  }

  /** What is called next hears the same as what was called behind another `restart`. */
  restart(): void {
    this.#looks = LOOKS_OF_LOADING
    this.#draws = 0
  }

  putBack(): void {
    for (const one of this.#putBack.splice(0).reverse()) one()
    syncBuiltinESMExports()
  }

  #nowMs(): number {
    const looks = this.#looks++
    if (this.#world.clock === 'ahead') return AHEAD_MS + looks * AHEAD_STEP_MS
    return STILL_MS + Math.floor(looks / STILL_LOOKS_PER_SECOND) * 1000
  }

  #replaceClocks(): void {
    const { Date: RealDate } = globalThis
    const nowMs = (): number => (this.#isOn ? this.#nowMs() : RealDate.now())
    const date = new Proxy(RealDate, {
      construct: (target, args, newTarget) => Reflect.construct(target, args.length === 0 ? [nowMs()] : args, newTarget) as Date,
      apply: () => new RealDate(nowMs()).toString(),
      get: (target, key, receiver): unknown => (key === 'now' ? nowMs : Reflect.get(target, key, receiver)),
    })
    this.#replace(globalThis, 'Date', date)
    const sinceMs = (): number => this.#nowMs() - STILL_MS
    const hrtime = (from?: readonly [number, number]): readonly [number, number] => {
      const micros = sinceMs() * 1000 - (from === undefined ? 0 : from[0] * 1e6 + from[1] / 1000)
      return [Math.floor(micros / 1e6), Math.round((micros - Math.floor(micros / 1e6) * 1e6) * 1000)]
    }
    this.#answer(performance, 'now', sinceMs)
    this.#answer(process, 'uptime', () => sinceMs() / 1000)
    this.#answer(process.hrtime, 'bigint', () => BigInt(sinceMs()) * 1_000_000n)
    const { bigint } = process.hrtime as { readonly bigint: () => bigint }
    this.#answer(process, 'hrtime', hrtime)
    Object.assign(process.hrtime, { bigint })
  }

  #replaceRandom(): void {
    const isLeast = this.#world.random === 'least'
    const next = (): number => {
      const draw = ++this.#draws
      if (draw % DRAWS_PER_ANY === 0) return (draw * GOLDEN) % 1
      return isLeast ? 0 : 1 - Number.EPSILON / 2
    }
    const fill = <T extends ArrayBufferView>(view: T, offset = 0, count = view.byteLength - offset): T => {
      const bytes = new Uint8Array(view.buffer, view.byteOffset + offset, count)
      for (let index = 0; index < bytes.length; index++) bytes[index] = Math.floor(next() * 256)
      return view
    }
    const uuid = (): string => {
      const hex = fill(Buffer.alloc(16)).toString('hex')
      return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-4${hex.slice(13, 16)}-8${hex.slice(17, 20)}-${hex.slice(20)}`
    }
    this.#answer(Math, 'random', next)
    this.#answer(crypto, 'randomUUID', uuid)
    this.#answer(crypto, 'randomBytes', (count: number) => fill(Buffer.alloc(count)))
    this.#answer(crypto, 'randomFillSync', fill)
    this.#answer(crypto, 'randomInt', (first: number, second?: number) => {
      const [low, high] = second === undefined ? [0, first] : [first, second]
      return low + Math.floor(next() * (high - low))
    })
    this.#answer(globalThis.crypto, 'randomUUID', uuid)
    this.#answer(globalThis.crypto, 'getRandomValues', (view: ArrayBufferView) => fill(view))
  }

  /** Those that call back later are left to the real function: nothing that comes later gets into a state. */
  #answer(target: object, name: string, changed: (...args: never[]) => unknown): void {
    const real = Reflect.get(target, name) as (...args: unknown[]) => unknown
    const isOn = (args: readonly unknown[]): boolean => this.#isOn && typeof args.at(-1) !== 'function'
    this.#replace(target, name, function answer(this: unknown, ...args: unknown[]): unknown {
      return isOn(args) ? changed(...(args as never[])) : real.apply(this, args)
    })
  }

  #replace(target: object, name: string, value: unknown): void {
    const before = Object.getOwnPropertyDescriptor(target, name)
    Object.defineProperty(target, name, { value, configurable: true, writable: true, enumerable: before?.enumerable ?? false })
    this.#putBack.push(() => {
      if (before === undefined) Reflect.deleteProperty(target, name)
      else Object.defineProperty(target, name, before)
    })
  }
}
