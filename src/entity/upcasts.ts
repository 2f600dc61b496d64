import { MillraceError, messageOf } from '#base/errors.js'
import {
  type Codec,
  createCodec,
  type Data,
  type DataOf,
  type EventSchema,
  type Fields,
  fieldSchemas,
  type InputOf,
} from '#schema/index.js'
import { isThenable } from './decider.js'

/** One shape that an event was stored in before, and what makes it the next one: pure and synchronous, like `apply`. */
export interface Upcast<F extends Fields = Fields> {
  /** The name it had then, where that was another. */
  readonly event?: string
  readonly from: F
  readonly to: (old: never) => object
}

/** By event, the oldest shape first: each leads to the next one, the last to the event as it is. */
export type Upcasts = { readonly [event: string]: readonly Upcast[] }

/** By event the fields of its former shapes: what the compiler infers from `upcast`. */
export type FormerFields = { readonly [event: string]: readonly Fields[] }

/** The `upcast` of a definition: every `to` gets what its `from` says and gives what the next shape asks for. */
export type UpcastsOf<U extends FormerFields, E> = { readonly [K in keyof U]: UpcastChainOf<U[K], E[K & keyof E]> }

type UpcastChainOf<U extends readonly Fields[], Last> = {
  readonly [I in keyof U]: { readonly event?: string; readonly from: U[I]; readonly to: To<U[I], At<Targets<U, Last>, I>> }
}
type Targets<U extends readonly Fields[], Last> = U extends readonly [Fields, ...infer Rest] ? [...Rest, Last] : never
type At<T, I> = I extends keyof T ? (T[I] extends Fields ? T[I] : never) : never
/** Conditional, so that the compiler knows what is asked for before it looks at what is returned: else literals become `string`. */
type To<F extends Fields, T> = T extends Fields ? (old: DataOf<F>) => InputOf<T> : never

interface Step {
  readonly event: string
  readonly codec: Codec
  readonly to: (data: Data) => unknown
}

/** The way of one event from its former shapes to the present one. */
export class UpcastChain {
  readonly #where: string
  readonly #steps: readonly Step[]
  readonly #codec: Codec

  constructor(entity: string, { event, fields }: EventSchema, upcasts: readonly Upcast[]) {
    this.#where = `${entity}.${event}`
    this.#codec = createCodec(fields)
    this.#steps = upcasts.map((one) => ({
      event: one.event ?? event,
      codec: createCodec(fieldSchemas(one.from)),
      to: one.to as (data: Data) => unknown,
    }))
  }

  /** The former shapes, the oldest first. */
  get former(): readonly { readonly event: string; readonly codec: Codec }[] {
    return this.#steps
  }

  /**
   * Data of the former shape `index`, which becomes the chain's own, as data of the event. Throws ERR_UPCAST_FAILED naming event and field when a
   * step throws, or gives what the next shape does not take.
   */
  run(index: number, data: Data): Data {
    let now = data
    for (let step = index; step < this.#steps.length; step++) now = this.#step(step, now)
    return now
  }

  #step(index: number, data: Data): Data {
    const { codec } = this.#steps[index + 1] ?? { codec: this.#codec }
    let next: unknown
    try {
      next = (this.#steps[index] as Step).to(data)
    } catch (cause) {
      throw this.#failed(index, `it threw: ${messageOf(cause)}`, cause)
    }
    if (isThenable(next)) {
      next.then(undefined, () => undefined)
      throw this.#failed(index, 'it returned a promise, and events are read synchronously')
    }
    const wrong = codec.check(next)
    if (wrong !== undefined) throw this.#failed(index, wrong)
    return codec.normalise(next as object)
  }

  #failed(index: number, what: string, cause?: unknown): MillraceError {
    return new MillraceError('ERR_UPCAST_FAILED', {
      fact: `an upcaster failed, ${what}`,
      action: 'operator',
      values: { event: this.#where, from: `former shape ${index + 1} of ${this.#steps.length}` },
      next: 'mend the function `to` of that shape in the definition, then start the plant again',
      cause,
    })
  }
}
