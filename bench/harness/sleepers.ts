import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { entityId } from '#base/ids.js'
import { MillraceError } from '#base/errors.js'
import type { Door } from '#ingest/door.js'
import type { SourceDefinition } from '#ingest/source.js'
import { serveControl } from '#processes/control-socket.js'

export const SLEEPERS = 'sleepers'
export const SLEEPERS_SOCKET = 'control'

/** One command to each of so many sleepers, on a fixed schedule. */
export interface WakeOrder {
  readonly sleepers: number
  /** The how manieth command to each of them, from 1. */
  readonly turn: number
  readonly perSecond: number
}

const TICK_MS = 1

/** Wakes entities under orders by a control socket in its own folder, and answers how long each took from when it was due until its answer, milliseconds. */
export function sleepers(): SourceDefinition {
  return {
    kind: 'sleepers',
    name: SLEEPERS,
    start: async ({ door, directory }) => {
      mkdirSync(directory, { recursive: true, mode: 0o700 })
      let sent = 0
      const control = await serveControl(join(directory, SLEEPERS_SOCKET), {
        wake: async (order) => {
          const waits = await wake(door, order as WakeOrder)
          sent += waits.length
          return waits
        },
      })
      return {
        stop: () => control.close(),
        stats: () => ({ received: sent, accepted: sent, rejected: 0, inFlight: 0, full: 0, unnumbered: 0, state: 'running' }),
      }
    },
  }
}

async function wake(door: Door, { sleepers: count, turn, perSecond }: WakeOrder): Promise<number[]> {
  const waits: Promise<number>[] = []
  const startMs = performance.now()
  while (waits.length < count) {
    const dueMs = startMs + (waits.length / perSecond) * 1000
    while (performance.now() < dueMs) await new Promise((resolve) => setTimeout(resolve, TICK_MS))
    waits.push(wakeOne(door, waits.length, turn, dueMs))
  }
  return Promise.all(waits)
}

function wakeOne(door: Door, index: number, turn: number, dueMs: number): Promise<number> {
  const entity = entityId('sleeper', String(index + 1))
  const command = { source: SLEEPERS, sequence: turn, entity, command: 'wake', data: { turn }, at: undefined }
  return new Promise((resolve, reject) => {
    const offer = () => {
      const offered = door.offer(command, 'always', (settlement) => {
        const isRight = settlement.kind === 'done' && (settlement.reply as { readonly turns: number }).turns === turn
        if (isRight) resolve(performance.now() - dueMs)
        else reject(failed(JSON.stringify(settlement)))
      })
      if (offered === 'full') door.onRoom(offer)
      else if (offered !== 'accepted') reject(failed(offered.rejected))
    }
    offer()
  })
}

function failed(what: string): MillraceError {
  return new MillraceError('ERR_BENCH_FAILED', { fact: 'a sleeper did not answer as it should', action: 'operator', values: { what } })
}
