import { setTimeout as delay } from 'node:timers/promises'
import { MillraceError } from '#base/errors.js'
import type { LoggedCommand } from '#drills/ledger.js'
import type { PlantUnderTest } from '#drills/drill-run.js'
import { PlantHash, type PlantModel } from '#entity/index.js'
import { OUTCOME_NONE } from '#journal/append-frame.js'
import { seatName, type Role } from '#processes/process-role.js'
import type { Recovery, StateHashes } from '#recovery/report.js'
import { JournalAccess } from './journal-access.js'
import type { PlantSession } from './plant-session.js'
import { replayHashOf } from './replay-hash.js'

const BACK_WITHIN_MS = 30_000
const LOOK_EVERY_MS = 2
const IDLE_WITHIN_MS = 30_000

/** A plant of many processes as drills break it and look into it. */
export class SessionUnderTest implements PlantUnderTest {
  readonly #session: PlantSession
  readonly #plant: PlantModel
  readonly #workers: number

  constructor(session: PlantSession, plant: PlantModel, workers: number) {
    this.#session = session
    this.#plant = plant
    this.#workers = workers
  }

  async breakAndRecover(role: Role, slot: number): Promise<Recovery> {
    if (role === 'supervisor') return this.#breakSupervisor()
    const { recoveryCount } = await this.#session.status()
    const startedMs = performance.now()
    await this.#session.kill(role, slot)
    for (;;) {
      const status = await this.#session.status()
      const found = status.recoveries.slice(recoveryCount - status.recoveryCount).find((one) => one.process === seatName({ role, slot }))
      if (status.recoveryCount > recoveryCount && found !== undefined) return asReported(found)
      if (performance.now() - startedMs > BACK_WITHIN_MS) throw notBack(seatName({ role, slot }))
      await delay(LOOK_EVERY_MS)
    }
  }

  async #breakSupervisor(): Promise<Recovery> {
    const startedMs = performance.now()
    await this.#session.killSupervisor()
    const reapedMs = performance.now()
    await this.#session.restartSupervisor()
    const readyMs = performance.now()
    const phases = { noticed: 0, reaped: reapedMs - startedMs, started: 0, ready: readyMs - reapedMs }
    return { process: 'supervisor/0', cause: 'SIGKILL', rtoMs: readyMs - startedMs, entities: 0, events: 0, phases }
  }

  async *log(): AsyncGenerator<LoggedCommand> {
    const access = await JournalAccess.open(this.#session.dataDirectory)
    try {
      for await (const { entity, version, at, outcomeKind } of access.query({ receipts: true })) {
        if (outcomeKind !== OUTCOME_NONE) yield { entity, version, at }
      }
    } finally {
      await access.close()
    }
  }

  async stateHashes(): Promise<StateHashes> {
    const live = new PlantHash()
    for (let slot = 0; slot < this.#workers; slot++) {
      await this.#untilIdle(slot)
      live.merge(((await this.#session.call('worker', slot, 'stateHash')) as { hash: string }).hash)
    }
    const access = await JournalAccess.open(this.#session.dataDirectory)
    try {
      return { live: live.hex(), replayed: await replayHashOf(access, this.#plant) }
    } finally {
      await access.close()
    }
  }

  async size(): Promise<{ readonly rows: number; readonly bytes: number }> {
    const access = await JournalAccess.open(this.#session.dataDirectory)
    try {
      const { endPosition, storedBytes } = await access.summary()
      return { rows: endPosition, bytes: storedBytes }
    } finally {
      await access.close()
    }
  }

  async #untilIdle(slot: number): Promise<void> {
    const deadlineMs = performance.now() + IDLE_WITHIN_MS
    while ((await this.#session.call('worker', slot, 'idle')) !== true) {
      if (performance.now() > deadlineMs) throw notBack(seatName({ role: 'worker', slot }))
      await delay(LOOK_EVERY_MS)
    }
  }
}

/** Without what only the log of recoveries keeps. */
function asReported({ process, cause, rtoMs, entities, events, phases }: Recovery): Recovery {
  return { process, cause, rtoMs, entities, events, phases }
}

function notBack(process: string): MillraceError {
  return new MillraceError('ERR_NOT_RECOVERED', {
    fact: 'a process did not come back to work in time',
    action: 'operator',
    values: { process },
    next: 'look at the logs folder of the data directory',
  })
}
