import type { Clock } from '#base/clock.js'
import { messageOf } from '#base/errors.js'
import { pack } from '#base/pack.js'
import { EffectFailure } from '#entity/effect.js'

/** What an attempt came to: the packed reply, empty for none, or why it failed. */
export type AttemptEnd = { readonly reply: Uint8Array; readonly failure?: undefined } | { readonly failure: EffectFailure }

export interface RunningAttempt {
  /** Never rejects. */
  readonly end: Promise<AttemptEnd>
  /** Ends it as failed. */
  abort(): void
}

/** For handlers to end in order when their time is over: one may know by then that the effect is done. */
const GRACE_MS = 100

const NO_BYTES = new Uint8Array(0)

/** Calls a handler, which may do whatever handlers do: throw, return nothing, never return. What it does after its time is over is not heard. */
export function attempt(run: (signal: AbortSignal) => unknown, timeoutMs: number, clock: Clock): RunningAttempt {
  const controller = new AbortController()
  let settle: (end: AttemptEnd) => void = () => {}
  const end = new Promise<AttemptEnd>((resolve) => (settle = resolve))
  let over: EffectFailure | undefined
  const give = (failure: EffectFailure) => {
    over = failure
    controller.abort(failure)
    clock.after(GRACE_MS, () => settle({ failure }))
  }
  const cancel = clock.after(timeoutMs, () => give(new EffectFailure('TIMED_OUT', { message: `no end after ${timeoutMs} ms` })))
  const called = (async () => run(controller.signal))()
  called.then(
    (reply) => settle({ reply: packed(reply) }),
    (error: unknown) => settle({ failure: over ?? failureOf(error) }),
  )
  void end.then(cancel)
  return { end, abort: () => give(new EffectFailure('STOPPED', { message: 'the plant ended' })) }
}

/** A reply that is no data is none: the effect was done all the same. */
function packed(reply: unknown): Uint8Array {
  if (reply === undefined) return NO_BYTES
  try {
    return pack(reply)
  } catch {
    return NO_BYTES
  }
}

/** A handler of another copy of this package throws failures that are told by their shape. */
function failureOf(error: unknown): EffectFailure {
  if (error instanceof EffectFailure) return error
  const { name, code, message, isFinal, afterMs, detail } = (error ?? {}) as Partial<EffectFailure>
  if (name === 'EffectFailure' && typeof code === 'string')
    return new EffectFailure(code, { message: String(message), isFinal: isFinal === true, afterMs: Number(afterMs) || 0, detail })
  return new EffectFailure(typeof code === 'string' && code !== '' ? code : 'FAILED', { message: messageOf(error), cause: error })
}
