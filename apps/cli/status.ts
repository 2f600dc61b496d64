import { setTimeout as delay } from 'node:timers/promises'
import { isMillraceError } from '#base/errors.js'
import { callControl } from '#processes/control-client.js'
import type { ProcessStatus } from '#processes/supervision-event.js'
import type { SubscriptionState } from '#reading/subscription-registry.js'
import type { PlantStatus } from '#recovery/plant-supervisor.js'
import { dataPaths } from '#runtime/data-directory.js'
import { readGatewayDoors } from '#runtime/gateway-doors.js'
import { type LoadingProgress, loadingProgress } from '#runtime/loading-progress.js'
import { type MessageFigures, messageFigures } from '#runtime/message-figures.js'
import { askSupervisor } from './ask-supervisor.js'
import type { Run } from './command.js'
import { showFenced } from './fenced.js'
import type { Output } from './output.js'
import { showParked } from './parked.js'
import { dataDirectoryOf } from './place.js'
import { printSubscriptions, type ShownSubscription, shownSubscriptions } from './subscription-table.js'
import { showTree } from './tree.js'

const WATCH_EVERY_MS = 1000
const BAR_CHARACTERS = 30

/** A journal that is just replaced, or hangs, must not keep anybody from seeing so. */
const JOURNAL_WITHIN_MS = 1000

/** Shows the processes of a running plant, its newest recoveries, and who reads its log. */
export const runStatus: Run = async (_args, options, output) => {
  const dataDirectory = dataDirectoryOf(options)
  for (;;) {
    if (options['parked'] === true) showParked(dataDirectory, output)
    else if (options['fenced'] === true) await showFenced(dataDirectory, output)
    else if (options['tree'] === true) await showTree(dataDirectory, output)
    else await showPlant(dataDirectory, output)
    if (options['watch'] !== true) return 0
    await delay(WATCH_EVERY_MS)
    if (!output.isJson && process.stdout.isTTY) process.stdout.write('\u001b[H\u001b[2J')
  }
}

async function showPlant(dataDirectory: string, output: Output): Promise<void> {
  const status = (await askSupervisor(dataDirectory, 'status', { recoveries: 5 })) as PlantStatus
  const http = readGatewayDoors(dataDirectory)?.http
  const subscriptions = await subscriptionsOf(dataDirectory)
  const loading = loadingProgress(status.runtimeDirectory)
  const messages = messageFigures(status.runtimeDirectory)
  if (output.isJson) output.json({ ...status, http, loading, messages, subscriptions: subscriptions ?? null })
  else {
    show(status, http, output)
    showLoading(loading, output)
    showMessages(messages, output)
    showSubscriptions(subscriptions, output)
  }
}

function show(status: PlantStatus, http: string | undefined, output: Output): void {
  const state = status.stopping ? 'stopping' : status.ready ? 'ready' : 'not ready'
  output.line(
    `The plant is ${state}, up for ${seconds(status.uptimeMs)}, ${status.recoveryCount} recoveries. Data: ${status.dataDirectory}`,
  )
  if (http !== undefined) output.line(`HTTP: ${http}`)
  if (status.code !== null) output.line(codeLine(status.code))
  if (status.workers?.change) output.line(workersLine(status.workers.count, status.workers.change))
  output.line()
  output.table(
    [
      { title: 'process' },
      { title: 'pid' },
      { title: 'term' },
      { title: 'state' },
      { title: 'code' },
      { title: 'pulse', align: 'right' },
      { title: 'up', align: 'right' },
    ],
    status.processes.map((one) => [
      nameOf(one),
      String(one.pid ?? '-'),
      String(one.term ?? '-'),
      one.state,
      one.version ?? '-',
      ms(one.pulseAgeMs),
      seconds(one.uptimeMs),
    ]),
  )
  for (const line of status.processes.flatMap(remarksOn)) output.line(line)
  if (status.fencedEntities > 0) {
    output.line()
    output.line(`${status.fencedEntities} of the entities take no commands, since they cannot be rebuilt: millrace status --fenced`)
  }
  if (status.recoveries.length === 0) return
  output.line()
  output.table(
    [{ title: 'recovered' }, { title: 'cause' }, { title: 'ms', align: 'right' }, { title: 'entities' }, { title: 'events' }],
    status.recoveries.map((one) => [one.process, one.cause, one.rtoMs.toFixed(1), one.entities, one.events]),
  )
}

function codeLine({ version, plantFile, upgrade }: NonNullable<PlantStatus['code']>): string {
  const change = upgrade === null ? '' : `, changing to ${upgrade.to}: ${upgrade.changed} of ${upgrade.seats} processes have`
  return `Code: ${version} from ${plantFile}${change}`
}

function workersLine(count: number, { to, moved, moves }: NonNullable<NonNullable<PlantStatus['workers']>['change']>): string {
  return `Workers: ${count}, changing to ${to}: ${moved} of ${moves} shards have moved`
}

function showLoading(loading: readonly LoadingProgress[], output: Output): void {
  if (loading.length > 0) output.line()
  for (const { worker, known, recovered } of loading) {
    const filled = Math.floor((recovered / known) * BAR_CHARACTERS)
    const bar = `${'█'.repeat(filled)}${'░'.repeat(BAR_CHARACTERS - filled)}`
    output.line(`worker/${worker} recovers its entities: ${bar} ${recovered} of ${known}; those take commands already.`)
  }
}

/** Nothing where entities tell nothing. */
function showMessages(messages: MessageFigures, output: Output): void {
  const { told, heldBack, effectsTaken, effectsDone, effectsParked, effectRetries, effectsWaiting, effectsInFlight } = messages
  if (told === 0 && effectsTaken === 0) return
  output.line()
  output.line(`Entities told ${told} messages and timers${heldBack === 0 ? '' : `; ${heldBack} commands waited for a full outbox`}.`)
  if (effectsTaken === 0) return
  output.line(
    `Effects: ${effectsDone} done, ${effectsInFlight} under way, ${effectsWaiting} waiting, ${effectsParked} parked; ${effectRetries} attempts failed and were repeated.`,
  )
}

/** Undefined when the journal does not answer. */
async function subscriptionsOf(dataDirectory: string): Promise<readonly ShownSubscription[] | undefined> {
  const { journalSocket } = dataPaths(dataDirectory)
  try {
    const states = (await callControl(journalSocket, 'subscriptions', {}, JOURNAL_WITHIN_MS)) as SubscriptionState[]
    if (states.length === 0) return []
    return shownSubscriptions(states, (await callControl(journalSocket, 'locate', { start: 'end' }, JOURNAL_WITHIN_MS)) as number)
  } catch (error) {
    if (isMillraceError(error)) return undefined
    throw error
  }
}

function showSubscriptions(subscriptions: readonly ShownSubscription[] | undefined, output: Output): void {
  if (subscriptions?.length === 0) return
  output.line()
  if (subscriptions === undefined) output.line('Subscriptions are not known: the journal does not answer.')
  else printSubscriptions(subscriptions, output)
}

/** What a person should know of a process. */
function remarksOn(one: ProcessStatus): string[] {
  const remarks: string[] = []
  if (one.needs !== null) remarks.push(`${nameOf(one)} needs somebody: ${one.needs}`)
  if (one.longTurn !== null) {
    const { ms: turnMs, command, isOver } = one.longTurn
    const busy = command === null ? '' : `, executing ${command.command} of ${command.entity}`
    remarks.push(`${nameOf(one)} ${isOver ? 'once did not turn' : 'has not turned'} for ${seconds(turnMs)}${busy}`)
  }
  return remarks.length === 0 ? [] : ['', ...remarks]
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
