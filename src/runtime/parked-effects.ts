import type { EntityId } from '#base/ids.js'
import { systemClock } from '#base/clock.js'
import { isMillraceError } from '#base/errors.js'
import { unpack } from '#base/pack.js'
import type { EffectRunner, FailedEffect } from '#effects/effect-runner.js'
import type { EffectRequest } from '#entity/effect-frame.js'
import { answerData, EFFECT_PREFIX } from '#entity/index.js'
import type { Door } from '#ingest/index.js'
import { packExact, unpackExact } from './exact-pack.js'
import { type ParkedCommand, ParkedCommands, retrySource } from './parked-commands.js'

/** What came of trying a parked effect again. */
export interface RetriedEffect {
  readonly ok: boolean
  readonly reply?: unknown
  /** Why it failed once more. */
  readonly error?: string
}

/** The effects among what a data directory's plant has parked: a gateway puts them there, and tries them again when a person asks. */
export class ParkedEffects {
  readonly #parked: ParkedCommands

  constructor(dataDirectory: string) {
    this.#parked = new ParkedCommands(dataDirectory)
  }

  /** Durable when it returns; answers the id. Errors of the file system come through. */
  park({ effect, key, code, failures }: FailedEffect): string {
    const { entity, name, data, number, at, correlation, answerCommand } = effect
    return this.#parked.add({
      parkedAt: systemClock.nowMicros(),
      entity,
      command: name,
      data,
      packed: packExact(data),
      source: sourceOf(effect),
      sequence: number,
      at,
      causes: failures,
      effect: { key, code, correlation, answerCommand },
    }).id
  }

  /** The id under which the very effect is parked. */
  parkedAs(effect: EffectRequest): string | undefined {
    const found = this.#parked.idOf({ entity: effect.entity, source: sourceOf(effect), sequence: effect.number })
    return found !== undefined && found.at === effect.at ? found.id : undefined
  }

  /**
   * One more attempt, with the key of those before. When it is done the effect is parked no longer, and its entity hears of it if it wants an answer: it heard of the failure before. Throws ERR_NOT_PARKED.
   */
  async retry(id: string, runner: EffectRunner, door: Door): Promise<RetriedEffect> {
    const one = this.#parked.get(id)
    const effect = effectOf(one)
    const { reply, failure } = { reply: undefined, failure: undefined, ...(await runner.tryOnce(effect)) }
    if (failure !== undefined) {
      this.#parked.failed(id, `${failure.code}: ${failure.message}`)
      return { ok: false, error: `${failure.code}: ${failure.message}` }
    }
    const value = reply === undefined || reply.length === 0 ? undefined : unpack(reply)
    if (effect.answerCommand !== '') await tellDone(door, one, effect, value)
    try {
      this.#parked.remove(id)
    } catch (error) {
      // Somebody has discarded it meanwhile.
      if (!isMillraceError(error, 'ERR_NOT_PARKED')) throw error
    }
    return { ok: true, reply: value }
  }
}

function sourceOf({ name }: EffectRequest): string {
  return `${EFFECT_PREFIX}${name}`
}

function effectOf({ entity, command, packed, sequence, at = 0, effect }: ParkedCommand): EffectRequest {
  const { correlation = '', answerCommand = '' } = effect ?? {}
  const data = unpackExact<Record<string, unknown>>(packed)
  return { request: 0, term: 0, entity, number: sequence, name: command, data, answerCommand, at, correlation }
}

/** Once, whoever asks for it how often. Resolves when that is durable, or when no entity can take it any more. */
function tellDone(door: Door, { id }: ParkedCommand, effect: EffectRequest, reply: unknown): Promise<void> {
  const { entity, answerCommand, number, at, correlation } = effect
  const data = answerData({ number, to: sourceOf(effect) }, 'done', { reply }) as Record<string, unknown>
  const envelope = { source: retrySource(id), sequence: 1, entity: entity as EntityId, command: answerCommand, data, at, correlation }
  return new Promise((resolve) => {
    const offer = (): void => {
      const offered = door.offer(envelope, 'refused', () => resolve())
      if (offered === 'full') door.onRoom(offer)
      else if (offered !== 'accepted') resolve()
    }
    offer()
  })
}
