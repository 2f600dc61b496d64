import { MillraceError } from '#base/errors.js'
import type { PlantStatus } from '#recovery/plant-supervisor.js'
import type { WorkersStatus } from '#recovery/plant-workers.js'
import type { CountReport, CountStep } from '#recovery/worker-count.js'
import { workerFigures } from '#runtime/worker-figures.js'
import { askSupervisor, followSupervisor } from './ask-supervisor.js'
import type { Run } from './command.js'
import { numberOption } from './number-option.js'
import type { Output } from './output.js'
import { dataDirectoryOf } from './place.js'
import { openProgress, type Progress } from './progress.js'

/** Shows the workers of a running plant, or changes how many there are; exit code 1 when there are not as many then. The change goes on when this process ends. */
export const runWorkers: Run = async (_args, options, output) => {
  const dataDirectory = dataDirectoryOf(options)
  const count = numberOption(options, 'count', 1)
  if (count !== undefined) return changeCount(dataDirectory, count, output)
  const status = (await askSupervisor(dataDirectory, 'status', { recoveries: 0 })) as PlantStatus
  const workers = workerFigures(status)
  if (output.isJson) output.json({ ...status.workers, workers })
  else show(workers, status.workers, output)
  return 0
}

async function changeCount(dataDirectory: string, count: number, output: Output): Promise<number> {
  let report: CountReport | undefined
  let bar: Progress | undefined
  try {
    for await (const step of followSupervisor(dataDirectory, 'workers', { count }) as AsyncIterable<CountStep>) {
      if (step.kind === 'ended') report = step.report
      if (output.isJson) output.json(step)
      else if (step.kind === 'planned') bar = openProgress(step.moves, 'shards')
      else if (step.kind === 'moved') bar?.update(step.done)
      else tell(step, bar, output)
    }
  } finally {
    bar?.stop()
  }
  if (report === undefined) throw withoutEnd()
  if (!output.isJson) showReport(report, output)
  return report.ok ? 0 : 1
}

function tell(step: CountStep, bar: Progress | undefined, output: Output): void {
  bar?.pause()
  if (step.kind === 'added') output.note(`${step.worker} works; it gets its share of the shards`)
  else if (step.kind === 'postponed') output.note(`shard ${step.shard} stays at ${step.from} for the moment: ${step.message}`)
  else if (step.kind === 'removed') output.note(`${step.worker} has no shards any more and has ended`)
}

function show(workers: ReturnType<typeof workerFigures>, status: WorkersStatus | null, output: Output): void {
  output.table(
    [
      { title: 'worker' },
      { title: 'pid' },
      { title: 'state' },
      { title: 'code' },
      { title: 'shards', align: 'right' },
      { title: 'entities', align: 'right' },
      { title: 'commands', align: 'right' },
    ],
    workers.map((one) => [
      `worker/${one.worker}`,
      String(one.pid ?? '-'),
      one.state,
      one.version ?? '-',
      String(one.shards),
      String(one.entities),
      String(one.commandsDone),
    ]),
  )
  if (status === null) return
  output.line()
  const { count, max, change } = status
  if (change !== null) output.line(`Changing to ${change.to}: ${change.moved} of ${change.moves} shards have moved.`)
  else if (count < max) output.line(`There is room for ${max}: millrace workers --count ${max}`)
  else output.line(`There is room for no more: workers.max is ${max}.`)
}

function showReport({ ok, from, to, workers, moves, repeated, failed, pauseMs, ms, failure }: CountReport, output: Output): void {
  const again = repeated === 0 ? '' : `, ${repeated} of the moves at a second attempt`
  const pause = moves === 0 ? '' : `; commands to one waited ${pauseMs.p50.toFixed(1)} ms (median), ${pauseMs.max.toFixed(1)} ms at most`
  output.line(`${moves} shards have moved in ${(ms / 1000).toFixed(1)} s${again}${pause}.`)
  const before = workers === from ? ', as before' : ` instead of ${from}`
  if (ok) output.line(`The plant has ${output.tone('green', String(workers))} ${workers === 1 ? 'worker' : 'workers'}${before}.`)
  else {
    output.line(`The plant has ${output.tone('red', String(workers))} workers, not ${to}; ${failed} shards have not moved.`)
    output.note(`millrace: ${failure?.message ?? 'the change failed'}`)
  }
}

function withoutEnd(): MillraceError {
  return new MillraceError('ERR_CONTROL_LOST', {
    fact: 'the supervisor has not said how the change ended',
    action: 'retry',
    next: 'look at millrace workers: after a restart the plant has as many workers as before the change',
  })
}
