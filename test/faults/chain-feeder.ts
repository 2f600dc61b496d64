import { setTimeout as delay } from 'node:timers/promises'
import { PlantHash, PlantModel } from '#entity/index.js'
import type { Row } from '#journal/index.js'
import { connectDoor } from '#runtime/door-access.js'
import { JournalAccess } from '#runtime/journal-access.js'
import { importPlant } from '#runtime/plant-module.js'
import type { PlantSession } from '#runtime/plant-session.js'
import { replayHashOf } from '#runtime/replay-hash.js'
import { checkChain } from './chain-check.js'
import { storedRows } from '../apps/stored-rows.js'

/** Of numbers on their way to the first relay. */
const WINDOW = 8

/** Numbers for the first relay, one after the other, as long as it runs. */
export class NumberFeeder {
  sent = 0
  settled = 0
  #isStopped = false
  #running: Promise<void> | undefined

  async start(dataDirectory: string): Promise<void> {
    const door = await connectDoor(dataDirectory)
    this.#running = this.#run(door)
  }

  async stop(): Promise<void> {
    this.#isStopped = true
    await this.#running
  }

  async #run(door: Awaited<ReturnType<typeof connectDoor>>): Promise<void> {
    while (!this.#isStopped || this.settled < this.sent) {
      if (this.#isStopped || this.sent - this.settled >= WINDOW) {
        await delay(1)
        continue
      }
      const id = this.sent + 1
      const command = { source: 'feeder', sequence: id, entity: 'relay/0', command: 'pass', data: { id }, at: undefined } as const
      if (door.offer(command, 'refused', () => this.settled++) === 'accepted') this.sent++
      else await new Promise<void>((resolve) => door.onRoom(resolve))
      await delay(2)
    }
    await door.close()
  }
}

/** Until nothing is under way in any worker, and all timers have gone off; all rows of the log then. */
export async function untilIdle(session: PlantSession, count: number, withinMs: number): Promise<Row[]> {
  const deadlineMs = performance.now() + withinMs
  for (;;) {
    const idle = await Promise.all((await session.workerSlots()).map((slot) => session.call('worker', slot, 'idle')))
    if (idle.every((one) => one === true)) {
      const rows = await storedRows(session.dataDirectory)
      const { missing, unsettled } = checkChain(rows, count)
      if ((missing === 0 && unsettled === 0) || performance.now() > deadlineMs) return rows
    }
    if (performance.now() > deadlineMs) throw new Error('the plant did not come to rest')
    await delay(20)
  }
}

/** As the workers hold it, and as the log folds it. */
export async function stateHashes(session: PlantSession, plantFile: string): Promise<{ readonly live: string; readonly replayed: string }> {
  const live = new PlantHash()
  for (const slot of await session.workerSlots()) live.merge(((await session.call('worker', slot, 'stateHash')) as { hash: string }).hash)
  const access = await JournalAccess.open(session.dataDirectory)
  try {
    return { live: live.hex(), replayed: await replayHashOf(access, new PlantModel((await importPlant(plantFile)).entities)) }
  } finally {
    await access.close()
  }
}
