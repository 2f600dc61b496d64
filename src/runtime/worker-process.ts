import type { LoadReport } from '#actors/loader.js'
import { type ParkedPlace, Worker } from '#actors/worker.js'
import type { RunningDutyCycle } from '#bus/index.js'
import { PlantModel } from '#entity/index.js'
import { aboutCode, numberCommands } from './plant-code.js'
import { importPlant } from './plant-module.js'
import { movingShards } from './moving-shards.js'
import { Probation } from './probation.js'
import { fencedMessage } from './fenced-entities.js'
import { ENTITIES_FENCED_EVENT, runRole, settled } from './role-process.js'
import { warmUp } from './warm-up.js'
import { wireWorker } from './wiring.js'

const COMMANDS_PER_TURN = 1024
const IN_FLIGHT_MAX = 65_536
const COUNTERS_EVERY_MS = 100
/** While the worker loads, which somebody may be watching. */
const LOADING_EVERY_MS = 20
/** Those that a successor would have to do without are more to replay. */
const SNAPSHOTS_WITHIN_MS = 5000

/** The worker process: imports the plant module, then hosts the entities of the slot that it is given. Never loads the journal's store. */
export function runWorkerProcess(): Promise<void> {
  return runRole(
    'worker',
    async (settings) => {
      const { version, entities } = await importPlant(settings.plantFile)
      return { version, plant: new PlantModel(entities), warmUpCpuMs: settings.config.processes.warmUpCpuMs }
    },
    async (context, { plant }) => {
      const { settings, slot, term, clock, lifeline, log } = context
      const { workers } = settings.config
      const startedMs = clock.monotonicMs()
      const { placement } = context.access
      numberCommands(plant, context.assignment)
      const probation = new Probation(context.assignment)
      const wired = wireWorker(context.access, slot, settings.shape, context.holder)
      let isReady = false
      let cycle: RunningDutyCycle | undefined
      let firstLoad: LoadReport | undefined
      const worker = new Worker({
        atHand: context.place.commandAtHand,
        parked: context.assignment['parked'] as readonly ParkedPlace[],
        predecessor: context.assignment['predecessor'] as string | undefined,
        plant,
        shards: placement.shardsOf(slot),
        shardCount: placement.shardCount,
        term,
        inbound: wired.inbound,
        messages: { ...wired.messages, commandsKnown: context.assignment['commandsKnown'] as number | undefined },
        journal: wired.journal,
        clock,
        limits: {
          liveEntitiesMax: workers.liveEntitiesMax,
          passivateAfterMs: workers.passivateAfterMs,
          snapshotEvery: workers.snapshotEvery,
          tailRowsMax: workers.tailRowsMax,
          commandsPerTurn: COMMANDS_PER_TURN,
          inFlightMax: IN_FLIGHT_MAX,
        },
        onLoaded: (report) => {
          if (!isReady) firstLoad = report
          else {
            log.warn(report, 'shards were loaded again after the journal did not take an append')
            lifeline.send({ kind: 'event', name: 'reloaded', data: report })
          }
        },
        wake: () => cycle?.wake(),
        onFenced: ({ entities, damages }) => {
          const message = fencedMessage(entities, damages)
          log.error({ entities, damages }, message)
          lifeline.send({ kind: 'event', name: ENTITIES_FENCED_EVENT, data: { message } })
        },
        onFatal: (error) => context.fail(error),
        onFault: (fault) => probation.fault(fault),
      })
      cycle = context.run(worker)
      const counters = context.table.counters({ role: 'worker', slot })
      const before = counters.read()
      const count = (): void => {
        const now = worker.counters
        counters.set('commandsDone', before.commandsDone + now.commands)
        counters.set('eventsEmitted', before.eventsEmitted + now.events)
        counters.set('refusals', before.refusals + now.refusals)
        counters.set('duplicates', before.duplicates + now.duplicates)
        counters.set('conflicts', before.conflicts + now.rejections)
        counters.set('activations', before.activations + now.activations)
        counters.set('passivations', before.passivations + now.passivations)
        counters.set('snapshotsTaken', before.snapshotsTaken + now.snapshots)
        counters.set('backPressure', before.backPressure + now.stalls)
        counters.set('messagesTold', before.messagesTold + now.told)
        counters.set('commandsHeldBack', before.commandsHeldBack + now.heldBack)
        counters.set('liveEntities', now.liveEntities)
        counters.set('knownEntities', now.knownEntities)
        counters.set('loadingEntities', worker.loadingCount)
        counters.set('unreleased', worker.inFlightCount)
        counters.set('fencedEntities', worker.fencedCount)
      }
      const counting = setInterval(count, LOADING_EVERY_MS)
      await settled(() => worker.isLoaded, Number.POSITIVE_INFINITY, clock)
      isReady = true
      clearInterval(counting)
      count()
      setInterval(count, COUNTERS_EVERY_MS).unref()
      lifeline.serveCalls({
        ...movingShards(worker, { clock, wake: () => cycle?.wake() }),
        stateHash: async () => ({ hash: (await worker.stateHash()).hex(), entities: worker.counters.knownEntities }),
        counters: () => ({ ...worker.counters }),
        idle: () => worker.isIdle,
        fenced: () => worker.fenced,
        proven: () => probation.end(),
        knowAllCommands: () => {
          worker.knowAllCommands()
          cycle?.wake()
        },
        snapshots: () => {
          worker.hurrySnapshots()
          const isOver = (): boolean => {
            cycle?.wake()
            return !worker.isHurryingSnapshots
          }
          return settled(isOver, SNAPSHOTS_WITHIN_MS, clock)
        },
      })
      const load = firstLoad
      return {
        details: {
          entities: load?.entities ?? 0,
          events: load?.events ?? 0,
          phases: {
            open: Math.max(0, clock.monotonicMs() - startedMs - (load?.waitMs ?? 0) - (load?.snapshotMs ?? 0) - (load?.replayMs ?? 0)),
            wait: load?.waitMs ?? 0,
            snapshots: load?.snapshotMs ?? 0,
            replay: load?.replayMs ?? 0,
          },
        },
        drain: async (withinMs, isReplaced) => {
          if (isReplaced) worker.leave()
          await settled(() => (isReplaced ? worker.inFlightCount === 0 : worker.isIdle), withinMs, clock)
        },
      }
    },
    {
      about: aboutCode,
      warm: ({ plant, warmUpCpuMs }, isOver) => warmUp(plant, { isOver, cpuMsMax: warmUpCpuMs }),
    },
  )
}
