import { Prng } from '#base/prng.js'
import { EffectRunner } from '#effects/effect-runner.js'
import type { PlantModel } from '#entity/index.js'
import type { Door } from '#ingest/index.js'
import { serveControl } from '#processes/control-socket.js'
import type { ProcessCounters } from '#processes/process-counters.js'
import { EFFECTS_GATEWAY } from './channel-plan.js'
import { dataPaths } from './data-directory.js'
import { effectTargets } from './effect-targets.js'
import { ParkedEffects } from './parked-effects.js'
import { type SeatContext, settled } from './role-process.js'
import { wireEffects } from './wiring.js'

/** A gateway's part in effects. */
export interface GatewayEffects {
  readonly runner: EffectRunner
  /** Answers who asks for a parked effect to be tried again. */
  serve(door: Door): Promise<{ close(): Promise<void> }>
  /** Writes what was counted behind what the seat's holders before it did. */
  count(): void
  /** Begins nothing more, and lets what is under way end. */
  drain(withinMs: number): Promise<void>
}

/** Undefined for a gateway that has no part in them. Throws ERR_CONFIG for targets that cannot be. */
export function gatewayEffects(
  { settings, slot, term, clock, log, table, access, holder }: SeatContext,
  plant: PlantModel,
  wake: () => void,
): GatewayEffects | undefined {
  if (slot !== EFFECTS_GATEWAY) return undefined
  const { targets: _, responseBytesMax: __, ...limits } = settings.config.effects
  const parked = new ParkedEffects(settings.dataDirectory)
  const runner = new EffectRunner({
    channels: wireEffects(access, settings.shape, holder),
    effects: plant.effects,
    targets: effectTargets(settings.config.effects, plant.effects, process.env),
    limits,
    clock,
    random: new Prng(`effects of gateway ${term}`),
    wake,
    park: (failed) => {
      const id = parked.park(failed)
      log.error(
        { entity: failed.effect.entity, effect: failed.effect.name, code: failed.code, id },
        'an effect failed for good and is parked',
      )
      return id
    },
    parkedAs: (effect) => parked.parkedAs(effect),
    onFailure: ({ entity, name }, { code, message }, attempts) =>
      log.warn({ entity, effect: name, code, attempts }, `an attempt at an effect failed: ${message}`),
  })
  const counters: ProcessCounters<'gateway'> = table.counters({ role: 'gateway', slot })
  const before = counters.read()
  return {
    runner,
    serve: (door) =>
      serveControl(dataPaths(settings.dataDirectory).gatewaySocket, {
        retryEffect: (args) => parked.retry((args as { readonly id: string }).id, runner, door),
      }),
    count: () => {
      const now = runner.counters
      counters.set('effectsTaken', before.effectsTaken + now.taken)
      counters.set('effectsDone', before.effectsDone + now.done)
      counters.set('effectsParked', before.effectsParked + now.parked)
      counters.set('effectRetries', before.effectRetries + now.retries)
      counters.set('effectsWaiting', runner.waitingCount)
      counters.set('effectsInFlight', runner.inFlightCount)
    },
    drain: async (withinMs) => {
      runner.close()
      await settled(() => runner.inFlightCount === 0, withinMs, clock)
      runner.stop()
    },
  }
}
