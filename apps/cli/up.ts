import { existsSync } from 'node:fs'
import { resolve } from 'node:path'
import { describeCause, type SupervisionEvent } from '#processes/supervision-event.js'
import { readGatewayDoors } from '#runtime/gateway-doors.js'
import { readPlantRecord } from '#runtime/plant-record.js'
import { failureIn, noticeIn } from '#runtime/notice.js'
import { supervise } from '#runtime/supervise.js'
import type { Run } from './command.js'
import { numberOption, usageError } from './number-option.js'
import type { Output } from './output.js'
import { dataDirectoryOf, textOption } from './place.js'

/** Runs a plant in the foreground until SIGTERM or SIGINT, then drains and stops it; a second signal stops it at once. */
export const runUp: Run = async ([named], options, output) => {
  const dataDirectory = dataDirectoryOf(options)
  const plantFile = named ?? readPlantRecord(dataDirectory)?.plantFile ?? 'plant.js'
  if (named === undefined && !existsSync(plantFile))
    throw usageError('which plant? there is no plant module', { file: plantFile }, 'name one: millrace up plant.js')
  const configFile = textOption(options, 'config')
  const startedMs = performance.now()
  let isStopping = false
  const {
    supervisor,
    started,
    plantFile: running,
    workers,
    configuredWorkers,
  } = await supervise({
    plantFile,
    dataDirectory,
    ...(configFile === undefined ? {} : { configFile }),
    isAsNamed: options['asNamed'] === true,
    workers: numberOption(options, 'workers', 1),
    env: process.env,
    hasLogFiles: options['log'] !== true,
    onEvent: (event) => {
      isStopping ||= event.kind === 'stopping'
      // That processes end is what stopping is.
      if (!(isStopping && event.kind === 'died')) tell(event, output)
    },
  })
  if (running !== resolve(plantFile) && !output.isJson)
    output.note(`the plant was upgraded since it ran ${plantFile}, and goes on with ${running}; --as-named runs ${plantFile} all the same`)
  if (workers !== configuredWorkers && !output.isJson)
    output.note(
      `the plant was changed to ${workers} workers while it ran, and has as many again; --workers ${configuredWorkers} starts it with those of the configuration`,
    )
  const stopped = new Promise<void>((done) => {
    let signals = 0
    const stop = () => {
      signals++
      if (signals === 1 && !output.isJson) output.note('stopping: what is in flight is finished first; once more stops at once')
      void (signals === 1 ? supervisor.stop() : supervisor.forceStop()).then(done)
    }
    process.removeAllListeners('SIGINT')
    process.on('SIGINT', stop)
    process.on('SIGTERM', stop)
    void supervisor.whenStopped().then(done)
  })
  let failure: Error | undefined
  const failed = (error: Error) => {
    failure = error
    void supervisor.stop()
  }
  void started.then(() => {
    const status = supervisor.status()
    const doors = readGatewayDoors(dataDirectory)
    const readyMs = Math.round(performance.now() - startedMs)
    if (output.isJson) output.json({ ready: true, readyMs, data: resolve(dataDirectory), http: doors?.http, processes: status.processes })
    else {
      output.line(`The plant is ready after ${readyMs} ms: ${status.processes.length} processes, data in ${resolve(dataDirectory)}`)
      if (doors !== undefined) output.line(`Commands by HTTP: ${doors.http}   Stop with Ctrl-C or: millrace down --data ${dataDirectory}`)
    }
  }, failed)
  await stopped
  if (failure !== undefined) throw failure
  if (!output.isJson) output.line('The plant has stopped; everything that was acknowledged is in the log.')
  return 0
}

function tell(event: SupervisionEvent, output: Output): void {
  if (output.isJson) return
  const notice = noticeIn(event)
  if (notice !== undefined) output.note(notice)
  const failure = failureIn(event)
  if (failure !== undefined) output.note(`${failure.code}: ${failure.message}`)
  else if (event.kind === 'died')
    output.note(`${event.role}/${event.slot ?? 'spare'} (pid ${event.pid}) ended: ${describeCause(event.cause)}`)
  else if (event.kind === 'replaced') {
    const { role, slot, pid, ms, details } = event.replacement
    const what = details.entities === undefined ? '' : `, ${details.entities} entities from ${details.events} events`
    output.note(`${role}/${slot} is back after ${ms.toFixed(1)} ms (pid ${pid}${what})`)
  } else if (event.kind === 'failing' && event.needs !== null)
    output.note(
      `${event.role}/${event.slot} needs somebody: ${event.needs}; it is tried again in ${event.retryInMs.toFixed(0)} ms, then rarely`,
    )
  else if (event.kind === 'failing')
    output.note(
      `${event.role}/${event.slot} failed ${event.failures} times; next try in ${event.retryInMs.toFixed(0)} ms, see the logs folder`,
    )
  else if (event.kind === 'trouble') output.note(`trouble: ${event.message}`)
}
