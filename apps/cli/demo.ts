import { spawn } from 'node:child_process'
import { join } from 'node:path'
import type { Fault } from '#drills/fault.js'
import { seatName } from '#processes/process-role.js'
import { packageRoot } from '#runtime/package-root.js'
import type { Run } from './command.js'
import { drillPlant } from './drill-plant.js'
import { finishRun, LiveLine, sayKept } from './drill-output.js'
import { numberOption } from './number-option.js'
import { textOption } from './place.js'
import { sabotageOption } from './sabotage-option.js'

const MACHINES = 1000
const RUN_MS = 20_000

/** A thousand simulated machines for twenty seconds, while a worker, the journal and the gateway are killed; ends with a report. */
export const runDemo: Run = async (_args, options, output) => {
  const sabotage = sabotageOption(options)
  const dataDirectory = textOption(options, 'data')
  const machines = numberOption(options, 'machines', 1) ?? MACHINES
  const runMs = (numberOption(options, 'seconds', 1) ?? RUN_MS / 1000) * 1000
  const live = new LiveLine(output)
  live.say('measuring the round trip of a message over the shared-memory bus …')
  const busRttNs = await measureBusRtt()
  live.say(`bus round trip: ${busRttNs === undefined ? 'not measured (it needs two cores)' : `${Math.round(busRttNs)} ns`}`)
  live.say('starting supervisor, journal, two workers and the gateway, a process each, and a spare of each kind …')
  const result = await drillPlant({
    dataDirectory,
    machines,
    seed: numberOption(options, 'seed') ?? 1,
    faults: (['worker', 'journal', 'gateway'] as const).map(
      (role, index): Fault => ({ kind: 'kill', seat: { role, slot: 0 }, atMs: (runMs * (index + 1)) / 4, forMs: 0 }),
    ),
    runMs,
    sabotage,
    onKept: (directory) => sayKept(directory, output),
    onReady: async (session) => {
      const { processes } = await session.status()
      live.say(`ready: ${processes.map(({ role, slot, pid }) => `${role}${slot === null ? ' spare' : `/${slot}`} ${pid}`).join(', ')}`)
      live.say(`${machines} machines begin to send`)
    },
    onProgress: (progress) => live.show(progress),
    onFault: ({ seat }, outcome) => {
      if (outcome === undefined) live.say(`kill -9 ${seatName(seat)}`)
      for (const { process, rtoMs, entities, events } of outcome?.recoveries ?? [])
        live.say(`${process} is back after ${rtoMs.toFixed(1)} ms, ${entities} entities from ${events} events`)
    },
  })
  live.close()
  const report = { ...result.report, ...(busRttNs === undefined ? {} : { busRttNs }) }
  return finishRun(report, result, { name: 'demo', machines, dataDirectory, htmlFile: textOption(options, 'html') }, output)
}

/** In processes of its own; undefined where it cannot be measured. */
function measureBusRtt(): Promise<number | undefined> {
  const child = spawn(process.execPath, [join(packageRoot(), 'dist', 'bench', 'bus-rtt.js'), '--smoke', '--alone', '--json'], {
    stdio: ['ignore', 'pipe', 'ignore'],
  })
  let text = ''
  child.stdout.on('data', (piece: Buffer) => {
    text += piece.toString()
  })
  return new Promise((resolve) => {
    child.on('error', () => resolve(undefined))
    child.on('close', () => {
      resolve(p50Of(text.trim().split('\n').at(-1) ?? ''))
    })
  })
}

function p50Of(line: string): number | undefined {
  try {
    return (JSON.parse(line) as { p50Ns?: number }).p50Ns
  } catch {
    return undefined
  }
}
