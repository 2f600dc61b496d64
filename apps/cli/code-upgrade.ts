import { existsSync } from 'node:fs'
import { resolve } from 'node:path'
import { MillraceError } from '#base/errors.js'
import type { UpgradeReport, UpgradeStep } from '#recovery/code-upgrade.js'
import { askSupervisor, followSupervisor } from './ask-supervisor.js'
import { runCodeCheck } from './code-check.js'
import type { Run } from './command.js'
import { numberOption } from './number-option.js'
import type { Output } from './output.js'
import { dataDirectoryOf } from './place.js'

/** Has the supervisor of a running plant change its code; exit code 1 when the plant has returned to the old one. The upgrade goes on when this process ends. */
export const runCodeUpgrade: Run = async ([file = ''], options, output) => {
  const dataDirectory = dataDirectoryOf(options)
  const plantFile = resolve(file)
  if (!existsSync(plantFile)) throw noSuchFile(plantFile)
  await askSupervisor(dataDirectory, 'status', { recoveries: 0 })
  if (options['check'] === true && (await runCodeCheck([plantFile], options, output)) === 1) return 1
  const args = { plantFile, probationMs: numberOption(options, 'probation'), allowFaults: options['allowFaults'] === true }
  let report: UpgradeReport | undefined
  for await (const step of followSupervisor(dataDirectory, 'upgrade', args) as AsyncIterable<UpgradeStep>) {
    if (output.isJson) output.json(step)
    else tell(step, output)
    if (step.kind === 'ended') report = step.report
  }
  if (report === undefined) throw withoutEnd()
  if (!output.isJson) show(report, output)
  return report.ok ? 0 : 1
}

function tell(step: UpgradeStep, output: Output): void {
  if (step.kind === 'loaded') output.note(`${step.to} is loaded and fits the log; ${step.seats} processes change from ${step.from} to it`)
  else if (step.kind === 'handed-over') output.note(`${step.seat} runs it after ${ms(step.pauseMs)} (${step.done} of ${step.seats})`)
  else if (step.kind === 'rolling-back') output.note(`the plant returns to the old code: ${step.message}`)
  else if (step.kind === 'returned') output.note(`${step.seat} runs the old code again after ${ms(step.pauseMs)}`)
}

function show({ ok, from, to, seats, shardPauseMs, doorPauseMs, ms: tookMs, failure }: UpgradeReport, output: Output): void {
  output.table(
    [
      { title: 'process' },
      { title: 'code' },
      { title: 'shards' },
      { title: 'pause ms', align: 'right' },
      { title: 'entities' },
      { title: 'events' },
    ],
    seats.map((one) => [one.seat, one.code === 'new' ? to : from, one.shards, one.pauseMs.toFixed(1), one.entities, one.events]),
  )
  output.line()
  output.line(`Commands to a shard waited ${ms(shardPauseMs.p99)} at most in 99 of 100 hand-overs, the doors ${ms(doorPauseMs)}.`)
  if (ok) output.line(`The plant runs ${output.tone('green', to)} instead of ${from} after ${(tookMs / 1000).toFixed(1)} s.`)
  else {
    output.line(`The plant runs ${output.tone('red', from)} as before; nothing that was acknowledged is lost.`)
    output.note(`millrace: ${failure?.message ?? 'the new code failed'}`)
  }
}

function ms(value: number): string {
  return `${value.toFixed(1)} ms`
}

function noSuchFile(file: string): MillraceError {
  return new MillraceError('ERR_PLANT_MODULE', {
    fact: 'there is no plant module',
    action: 'operator',
    values: { file },
    next: 'name the file that exports definePlant(...) by default',
  })
}

function withoutEnd(): MillraceError {
  return new MillraceError('ERR_CONTROL_LOST', {
    fact: 'the supervisor has not said how the upgrade ended',
    action: 'retry',
    next: 'look at millrace status: after a restart the plant runs the code that its record names',
  })
}
