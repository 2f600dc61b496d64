import { mkdirSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { PlantModel } from '#entity/index.js'
import { BusDoor } from '#ingest/bus-door.js'
import type { RunningSource } from '#ingest/index.js'
import { serveStreamDoor } from '#ingest/stream-server.js'
import { serveConnections } from '#processes/control-socket.js'
import { dataPaths } from './data-directory.js'
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
      const sources: RunningSource[] = []
      mkdirSync(paths.ingest, { recursive: true, mode: 0o700 })
      for (const source of definition.sources) {
        const directory = join(paths.ingest, source.name)
        const sourceLog = (level: 'info' | 'warn' | 'error', message: string, values?: object) =>
          log[level]({ source: source.name, ...values }, message)
        sources.push(await source.start({ door, clock, log: sourceLog, directory, base: dirname(settings.plantFile) }))
      }
      const streamDoor = await serveConnections(paths.doorSocket, (socket) => serveStreamDoor(socket, { door }))
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
        details: {},
        drain: async (withinMs) => {
          await Promise.all(sources.map((source) => source.stop()))
          door.close()
          await settled(() => door.inFlightCount === 0, withinMs, clock)
          await streamDoor.close()
        },
      }
    },
  )
}
