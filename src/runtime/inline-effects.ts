import type { Clock } from '#base/clock.js'
import { Prng } from '#base/prng.js'
import type { EffectChannelEnds } from '#effects/effect-link.js'
import { EffectRunner } from '#effects/effect-runner.js'
import type { PlantModel } from '#entity/index.js'
import type { SourceLog } from '#ingest/source.js'
import { effectTargets, type EffectsConfig } from './effect-targets.js'
import { ParkedEffects } from './parked-effects.js'

/** As config/default.yaml has them. */
const DEFAULTS: EffectsConfig = {
  targets: {},
  timeoutMs: 10_000,
  inFlightMax: 8,
  attemptsMax: 20,
  retryMs: 500,
  retryMsMax: 300_000,
  responseBytesMax: 16_384,
}

/** Has the effects of an inline plant done in this process. Without a data directory nothing is parked but told. Throws ERR_CONFIG. */
export function inlineEffects(
  plant: PlantModel,
  {
    channels,
    config,
    data,
    clock,
    wake,
    log,
  }: {
    readonly channels: readonly EffectChannelEnds[]
    readonly config: Partial<EffectsConfig> | undefined
    readonly data: string | undefined
    readonly clock: Clock
    readonly wake: () => void
    readonly log: SourceLog
  },
): EffectRunner {
  const whole = { ...DEFAULTS, ...config }
  const parked = data === undefined ? undefined : new ParkedEffects(data)
  return new EffectRunner({
    channels,
    effects: plant.effects,
    targets: effectTargets(whole, plant.effects, process.env),
    limits: whole,
    clock,
    random: new Prng('effects'),
    wake,
    park: (failed) => {
      const { entity, name } = failed.effect
      const id = parked?.park(failed) ?? ''
      log('error', 'an effect failed for good', { entity, effect: name, code: failed.code, failures: failed.failures, id })
      return id
    },
    parkedAs: (effect) => parked?.parkedAs(effect),
  })
}
