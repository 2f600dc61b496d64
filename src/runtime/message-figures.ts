import { processRows } from './process-rows.js'

const COUNTERS = {
  /** Messages and timers that entities told, effects among them. */
  told: 'messagesTold',
  /** Commands of devices that had to wait for a full outbox. */
  heldBack: 'commandsHeldBack',
  effectsTaken: 'effectsTaken',
  effectsDone: 'effectsDone',
  effectsParked: 'effectsParked',
  effectRetries: 'effectRetries',
  effectsWaiting: 'effectsWaiting',
  effectsInFlight: 'effectsInFlight',
} as const

/** What the entities of a running plant have told and had done, in all. */
export type MessageFigures = { readonly [name in keyof typeof COUNTERS]: number }

export function messageFigures(runtimeDirectory: string): MessageFigures {
  const rows = processRows(runtimeDirectory)
  const total = (counter: string): number =>
    rows.reduce((sum, { counters }) => sum + ((counters as Record<string, number>)[counter] ?? 0), 0)
  return Object.fromEntries(Object.entries(COUNTERS).map(([name, counter]) => [name, total(counter)])) as MessageFigures
}
