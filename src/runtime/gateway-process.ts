import { mkdirSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { PlantModel } from '#entity/index.js'
import type { ProcessTable } from '#processes/process-table.js'
import { BusDoor } from '#ingest/bus-door.js'
import { openHttpDoor } from '#ingest/http-door.js'
import type { PageAnswer } from '#ingest/http-requests.js'
import type { RunningSource } from '#ingest/index.js'
import { serveStreamDoor } from '#ingest/stream-server.js'
import { serveConnections } from '#processes/control-socket.js'
import type { PlantShape } from './channel-plan.js'
import { dataPaths } from './data-directory.js'
import { writeGatewayDoors } from './gateway-doors.js'
import { GatewayMetrics } from './gateway-metrics.js'
import { importPlant } from './plant-module.js'
import { runRole, settled } from './role-process.js'
import { wireGateway } from './wiring.js'

const COUNTERS_EVERY_MS = 100

/** The gateway process: the plant's doors and sources. Keeps nothing that matters; what it had in flight is sent again by whoever sent it. */
export function runGatewayProcess(): Promise<void> {
  return runRole(
    'gateway',
    async (settings) => {
      const definition = await importPlant(settings.plantFile)
      return { definition, plant: new PlantModel(definition.entities) }
    },
    async (context, { definition, plant }) => {
      const { settings, slot, term, clock, log } = context
      const paths = dataPaths(settings.dataDirectory)
      let cycle: ReturnType<typeof context.run> | undefined
      const door = new BusDoor({
        plant,
        channels: wireGateway(context.access, slot, settings.shape, context.holder),
        shardCount: context.assignment.shardCount as number,
        term,
        clock,
        wake: () => cycle?.wake(),
      })
      cycle = context.run(door)
      const metrics = new GatewayMetrics(context.table, clock)
      const timedDoor = metrics.timed(door)
      const streamDoor = await serveConnections(paths.doorSocket, (socket) => serveStreamDoor(socket, { door: timedDoor }))
      const { http } = settings.config
      const httpDoor = await openHttpDoor({
        door: timedDoor,
        clock,
        host: http.host,
        port: http.port,
        bodyBytesMax: http.bodyBytesMax,
        connectionsMax: http.connectionsMax,
        ratePerSecond: http.ratePerSecond,
        token: http.token ?? undefined,
        tls: http.tls.cert === null || http.tls.key === null ? undefined : { cert: http.tls.cert, key: http.tls.key },
        pages: {
          '/healthz': { isOpen: true, read: () => text(200, 'alive\n') },
          '/readyz': { isOpen: true, read: () => readiness(context.table, settings.shape) },
          ...(settings.config.metrics.enabled
            ? { '/metrics': { isOpen: false, read: async () => ({ status: 200, type: metrics.contentType, body: await metrics.text() }) } }
            : {}),
        },
      })
      writeGatewayDoors(settings.dataDirectory, { http: httpDoor.url })
      const sources: RunningSource[] = []
      mkdirSync(paths.ingest, { recursive: true, mode: 0o700 })
      for (const source of definition.sources) {
        const directory = join(paths.ingest, source.name)
        const sourceLog = (level: 'info' | 'warn' | 'error', message: string, values?: object) =>
          log[level]({ source: source.name, ...values }, message)
        sources.push(await source.start({ door: timedDoor, clock, log: sourceLog, directory, base: dirname(settings.plantFile) }))
      }
      const counters = context.table.counters({ role: 'gateway', slot })
      const before = counters.read()
      setInterval(() => {
        const now = door.counters
        counters.set('commandsTaken', before.commandsTaken + now.accepted)
        counters.set('commandsAcked', before.commandsAcked + now.settled)
        counters.set('refusals', before.refusals + now.refused)
        counters.set('rejected', before.rejected + now.rejected)
        counters.set('backPressure', before.backPressure + now.full)
        counters.set('inFlight', door.inFlightCount)
      }, COUNTERS_EVERY_MS).unref()
      return {
        details: { http: httpDoor.url },
        drain: async (withinMs) => {
          await Promise.all(sources.map((source) => source.stop()))
          await httpDoor.close(withinMs)
          door.close()
          await settled(() => door.inFlightCount === 0, withinMs, clock)
          await streamDoor.close()
        },
      }
    },
  )
}

/** Ready: every seat behind this one works, so that a command sent now is answered. */
function readiness(table: ProcessTable, shape: PlantShape): PageAnswer {
  const rows = table.snapshot()
  const isReady = (role: string, slot: number) => rows.some((row) => row.role === role && row.slot === slot && row.state === 'ready')
  const missing = ['journal/0', ...Array.from({ length: shape.workers }, (_, slot) => `worker/${slot}`)].filter((seat) => {
    const [role = '', slot] = seat.split('/')
    return !isReady(role, Number(slot))
  })
  return missing.length === 0 ? text(200, 'ready\n') : text(503, `not ready: ${missing.join(', ')}\n`)
}

function text(status: number, body: string): PageAnswer {
  return { status, type: 'text/plain; charset=utf-8', body }
}
