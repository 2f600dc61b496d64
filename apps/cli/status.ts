import { setTimeout as delay } from 'node:timers/promises'
import type { ProcessStatus } from '#processes/supervision-event.js'
import type { PlantStatus } from '#recovery/plant-supervisor.js'
import { readGatewayDoors } from '#runtime/gateway-doors.js'
import { askSupervisor } from './ask-supervisor.js'
import type { Run } from './command.js'
import type { Output } from './output.js'
import { dataDirectoryOf } from './place.js'

const WATCH_EVERY_MS = 1000

/** Shows the processes of a running plant and its newest recoveries. */
export const runStatus: Run = async (_args, options, output) => {
  const dataDirectory = dataDirectoryOf(options)
  for (;;) {
    const status = (await askSupervisor(dataDirectory, 'status', { recoveries: 5 })) as PlantStatus
    const http = readGatewayDoors(dataDirectory)?.http
    if (output.isJson) output.json({ ...status, http })
    else show(status, http, output)
    if (options['watch'] !== true) return 0
    await delay(WATCH_EVERY_MS)
    if (!output.isJson && process.stdout.isTTY) process.stdout.write('\u001b[H\u001b[2J')
  }
}

function show(status: PlantStatus, http: string | undefined, output: Output): void {
  const state = status.stopping ? 'stopping' : status.ready ? 'ready' : 'not ready'
  output.line(
    `The plant is ${state}, up for ${seconds(status.uptimeMs)}, ${status.recoveryCount} recoveries. Data: ${status.dataDirectory}`,
  )
  if (http !== undefined) output.line(`HTTP: ${http}`)
  output.line()
  output.table(
    [
      { title: 'process' },
      { title: 'pid' },
      { title: 'term' },
      { title: 'state' },
      { title: 'pulse', align: 'right' },
      { title: 'up', align: 'right' },
    ],
    status.processes.map((one) => [
      nameOf(one),
      String(one.pid ?? '-'),
      String(one.term ?? '-'),
      one.state,
      ms(one.pulseAgeMs),
      seconds(one.uptimeMs),
    ]),
  )
  if (status.recoveries.length === 0) return
  output.line()
  output.table(
    [{ title: 'recovered' }, { title: 'cause' }, { title: 'ms', align: 'right' }, { title: 'entities' }, { title: 'events' }],
    status.recoveries.map((one) => [one.process, one.cause, one.rtoMs.toFixed(1), one.entities, one.events]),
  )
}

function nameOf({ role, slot }: ProcessStatus): string {
  return slot === null ? `${role} (spare)` : `${role}/${slot}`
}

function ms(value: number | null): string {
  return value === null ? '-' : `${Math.round(value)} ms`
}

function seconds(value: number | null): string {
  return value === null ? '-' : `${(value / 1000).toFixed(1)} s`
}
