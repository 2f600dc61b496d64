import { dirname } from 'node:path'
import { PlantModel } from '#entity/index.js'
import type { ProcessCounters } from '#processes/process-counters.js'
import type { ProcessTable } from '#processes/process-table.js'
import { BusDoor } from '#ingest/bus-door.js'
import { type HttpDoor, openHttpDoor } from '#ingest/http-door.js'
import type { Page, PageAnswer } from '#ingest/http-requests.js'
import type { Door, SourceLog } from '#ingest/index.js'
import { NumberWords } from '#ingest/number-words.js'
import { serveStreamDoor } from '#ingest/stream-server.js'
import { serveConnections } from '#processes/control-socket.js'
import type { Placement } from '#shards/placement.js'
import { ControlFeed } from './control-feed.js'
import { dataPaths } from './data-directory.js'
import { predecessorPort, writeGatewayDoors } from './gateway-doors.js'
import { gatewayEffects } from './gateway-effects.js'
import { GatewayMetrics } from './gateway-metrics.js'
import { missingSeats } from './gateway-readiness.js'
import { aboutCode, numberCommands } from './plant-code.js'
import { joinDuties } from './joined-duties.js'
import { importPlant } from './plant-module.js'
import { startSources } from './plant-sources.js'
import { startTargets } from './plant-targets.js'
import { runRole, type SeatContext, settled } from './role-process.js'
import { wireGateway } from './wiring.js'

const COUNTERS_EVERY_MS = 100
/** Of the time to drain, the part in which requests under way may still be answered. */
const ANSWER_PART = 0.8

/** The gateway process: the plant's doors and sources. Keeps nothing that matters; what it had in flight is sent again by whoever sent it. */
export function runGatewayProcess(): Promise<void> {
  return runRole(
    'gateway',
    async (settings) => {
      const definition = await importPlant(settings.plantFile)
      return { definition, version: definition.version, plant: new PlantModel(definition.entities) }
    },
    async (context, { definition, plant }) => {
      const { settings, slot, term, clock, log, table } = context
      numberCommands(plant, context.assignment)
      let cycle: ReturnType<typeof context.run> | undefined
      const metrics = new GatewayMetrics({ table, shape: settings.shape, placement: context.access.placement, clock })
      const door = new BusDoor({
        plant,
        channels: wireGateway(context.access, slot, settings.shape, context.holder),
        placement: context.access.placement,
        term,
        clock,
        wake: () => cycle?.wake(),
        onAck: (ms) => metrics.observeAck(ms),
      })
      const effects = gatewayEffects(context, plant, () => cycle?.wake())
      cycle = context.run(effects === undefined ? door : joinDuties(door, effects.runner))
      // Offers look at the placement, so that nothing more goes to a shard that is held; what was taken before is to be seen by its worker.
      context.lifeline.serveCalls({ hold: () => (door.publish(), {}) })
      const countDoor = countInto(table.counters({ role: 'gateway', slot }), door)
      const count = (): void => {
        countDoor()
        effects?.count()
      }
      setInterval(count, COUNTERS_EVERY_MS).unref()
      const timedDoor = metrics.timed(endingDoor(door, (error) => context.fail(error)))
      const tell: SourceLog = (level, message, values) => log[level](values ?? {}, message)
      const base = dirname(settings.plantFile)
      // Of several gateways one is enough, and two under one name would end each other.
      const targets = await startTargets(slot === 0 ? definition.targets : [], {
        feed: () => new ControlFeed({ dataDirectory: settings.dataDirectory, mayReadAlone: false }),
        clock,
        log: tell,
        plant: settings.dataDirectory,
        base,
      })
      metrics.targets = targets
      const streamDoor = await serveConnections(dataPaths(settings.dataDirectory).doorSocket, (socket) =>
        serveStreamDoor(socket, { door: timedDoor }),
      )
      const retries = await effects?.serve(timedDoor)
      const httpDoor = await openHttp(context, plant, timedDoor, metrics, count)
      writeGatewayDoors(settings.dataDirectory, { http: httpDoor.url })
      const sources = await startSources(definition.sources, {
        door: timedDoor,
        clock,
        log: tell,
        directory: dataPaths(settings.dataDirectory).ingest,
        base,
      })
      return {
        details: { http: httpDoor.url },
        drain: async (withinMs) => {
          const deadlineMs = clock.monotonicMs() + withinMs
          // What was begun comes to its end first; only then is nothing more let in.
          const begun = [
            httpDoor.close(withinMs * ANSWER_PART),
            Promise.resolve(effects?.drain(withinMs * ANSWER_PART)),
            Promise.resolve(retries?.close()),
            ...[...sources, ...targets].map((one) => one.stop()),
          ]
          for (const end of await Promise.allSettled(begun))
            if (end.status === 'rejected') log.error({ err: end.reason as unknown }, 'a source or a target did not stop in order')
          door.close()
          await settled(() => door.inFlightCount === 0, deadlineMs - clock.monotonicMs(), clock)
          await streamDoor.close()
          count()
          log.info(door.counters, 'the doors are closed')
        },
      }
    },
    { about: aboutCode },
  )
}

/**
 * An offer never throws for its input. When it throws, its channel is damaged or the program is wrong, and the process ends before whoever offered
 * takes that for an answer: it comes again to the successor.
 */
function endingDoor(door: Door, fail: (error: unknown) => never): Door {
  return {
    offer: (command, answer, settle) => {
      try {
        return door.offer(command, answer, settle)
      } catch (error) {
        return fail(error)
      }
    },
    onRoom: (callback) => door.onRoom(callback),
    // Lines belong to sources in this process: what they throw is not caught by anybody, which ends it too.
    line: (entity, source, command) => door.line?.(entity, source, command) ?? 'this door has no lines',
  }
}

async function openHttp(
  context: SeatContext,
  plant: PlantModel,
  door: Door,
  metrics: GatewayMetrics,
  count: () => void,
): Promise<HttpDoor> {
  const { settings, table, clock, log } = context
  const { http } = settings.config
  const journalCounters = table.counters({ role: 'journal', slot: 0 })
  const whyNotNow = () => (journalCounters.get('waitsForRoom') > 0 ? DISK_FULL : undefined)
  const pages: Record<string, Page> = {
    '/healthz': { isOpen: true, read: () => text(200, 'alive\n') },
    '/readyz': { isOpen: true, read: () => readiness(table, context.access.placement, whyNotNow()) },
  }
  if (settings.config.metrics.enabled) {
    pages['/metrics'] = {
      isOpen: false,
      read: async () => {
        count()
        return { status: 200, type: metrics.contentType, body: await metrics.text(httpDoor.stats) }
      },
    }
  }
  const httpDoor = await openHttpDoor({
    door,
    clock,
    host: http.host,
    port: http.port,
    preferredPort: predecessorPort(settings.dataDirectory),
    bodyBytesMax: http.bodyBytesMax,
    connectionsMax: http.connectionsMax,
    ratePerSecond: http.ratePerSecond,
    token: http.token ?? undefined,
    tls: http.tls.cert === null || http.tls.key === null ? undefined : { cert: http.tls.cert, key: http.tls.key },
    pages,
    whyNotNow,
    words: new NumberWords(plant),
    onError: (error) => log.error({ err: error }, 'the HTTP door failed at a request'),
  })
  return httpDoor
}

/** Writes what the door has counted behind what the seat's holders before it did. */
function countInto(counters: ProcessCounters<'gateway'>, door: BusDoor): () => void {
  const before = counters.read()
  return () => {
    const now = door.counters
    counters.set('commandsTaken', before.commandsTaken + now.accepted)
    counters.set('commandsAcked', before.commandsAcked + now.settled)
    counters.set('refusals', before.refusals + now.refused)
    counters.set('rejected', before.rejected + now.rejected)
    counters.set('backPressure', before.backPressure + now.full)
    counters.set('unnumbered', before.unnumbered + now.unnumbered)
    counters.set('inFlight', door.inFlightCount)
  }
}

const DISK_FULL = 'the disk of the plant is full: nothing is taken until some room is made, nothing is lost, and reads go on'

function readiness(table: ProcessTable, placement: Placement, whyNotNow: string | undefined): PageAnswer {
  const missing = missingSeats(table, placement)
  if (missing.length === 0 && whyNotNow !== undefined) return text(503, `not ready: ${whyNotNow}\n`)
  return missing.length === 0 ? text(200, 'ready\n') : text(503, `not ready: ${missing.join(', ')}\n`)
}

function text(status: number, body: string): PageAnswer {
  return { status, type: 'text/plain; charset=utf-8', body }
}
