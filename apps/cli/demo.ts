import { spawn } from 'node:child_process'
import { join } from 'node:path'
import { isSabotage, SABOTAGES } from '#drills/sabotage.js'
import { packageRoot } from '#runtime/package-root.js'
import type { Run } from './command.js'
import { drillPlant } from './drill-plant.js'
import { LiveLine, printReport } from './drill-output.js'
import { numberOption, usageError } from './number-option.js'
import { textOption } from './place.js'

const MACHINES = 1000
const RUN_MS = 20_000

/** A thousand simulated machines for twenty seconds, while a worker, the journal and the gateway are killed; ends with a report. */
export const runDemo: Run = async (_args, options, output) => {
  const sabotage = textOption(options, 'sabotage')
  if (sabotage !== undefined && !isSabotage(sabotage)) throw usageError('no such sabotage', { sabotage }, `one of ${SABOTAGES.join(', ')}`)
  const machines = numberOption(options, 'machines', 1) ?? MACHINES
  const runMs = (numberOption(options, 'seconds', 1) ?? RUN_MS / 1000) * 1000
  const live = new LiveLine(output)
  live.say('measuring the round trip of a message over the shared-memory bus …')
  const busRttNs = await measureBusRtt()
  live.say(`bus round trip: ${busRttNs === undefined ? 'not measured (it needs two cores)' : `${Math.round(busRttNs)} ns`}`)
  live.say('starting supervisor, journal, two workers and the gateway, a process each, and a spare of each kind …')
  const result = await drillPlant({
    dataDirectory: textOption(options, 'data'),
    machines,
    seed: numberOption(options, 'seed') ?? 1,
    faults: [
      { role: 'worker', slot: 0, atMs: runMs * 0.25 },
      { role: 'journal', slot: 0, atMs: runMs * 0.5 },
      { role: 'gateway', slot: 0, atMs: runMs * 0.75 },
    ],
    runMs,
    sabotage,
    onReady: async (session) => {
      const { processes } = await session.status()
      live.say(`ready: ${processes.map(({ role, slot, pid }) => `${role}${slot === null ? ' spare' : `/${slot}`} ${pid}`).join(', ')}`)
      live.say(`${machines} machines begin to send`)
    },
    onProgress: (progress) => live.show(progress),
    onFault: ({ role, slot }, recovery) => {
      if (recovery === undefined) live.say(`kill -9 ${role}/${slot}`)
      else
        live.say(
          `${role}/${slot} is back after ${recovery.rtoMs.toFixed(1)} ms, ${recovery.entities} entities from ${recovery.events} events`,
        )
    },
  })
  live.close()
  return printReport({ ...result.report, ...(busRttNs === undefined ? {} : { busRttNs }) }, result, output)
}

/** In processes of its own; undefined where it cannot be measured. */
function measureBusRtt(): Promise<number | undefined> {
  const child = spawn(process.execPath, [join(packageRoot(), 'dist', 'bench', 'bus-rtt.js'), '--smoke', '--json'], {
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
