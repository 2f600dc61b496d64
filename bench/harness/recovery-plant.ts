import { writeFileSync } from 'node:fs'
import { execFileSync } from 'node:child_process'
import { setTimeout as delay } from 'node:timers/promises'
import { entityId, type EntityId, SHARD_COUNT_DEFAULT, shardOfId } from '#base/ids.js'
import { MillraceError } from '#base/errors.js'
import { PlantHash, PlantModel } from '#entity/index.js'
import type { StreamDoorClient } from '#ingest/stream-client.js'
import type { Recovery } from '#recovery/report.js'
import { openLog } from '#runtime/data-directory.js'
import { connectDoor } from '#runtime/door-access.js'
import { PlantSession } from '#runtime/plant-session.js'
import { replayHash } from '#runtime/replay-hash.js'
import { Placement } from '#shards/placement.js'
import { compiledPath } from './compiled.js'
import { PRESS_SOURCE } from './press-log.js'
import { Press } from './press-plant.js'
import { cpuNsOf, residentMbOf } from './process-cpu.js'

const LOOK_EVERY_MS = 50
const SAMPLE_EVERY_MS = 5
const WITHIN_MS = 60_000
const LIVE_ENTITIES = '200000'
/** A process that takes less of a core than this rests. */
const RESTING_SHARE = 0.05
/** After its start, with time to spare. */
const WARM_UP_BEGINS_MS = 2500

/** What one kill came to. */
export interface KillResult {
  /** From the SIGKILL until every entity of the worker had taken a new command, as their sender was told. */
  readonly ms: number
  /** As the supervisor saw it. */
  readonly recovery: Recovery
  /** Resident memory of the journal and the worker: before the kill, and at most until it was over. */
  readonly steadyMb: number
  readonly peakMb: number
}

/** A plant of presses whose first worker is killed from outside again and again, and a client that sends each of its presses a command right behind that. */
export class RecoveryPlant {
  /** From its start until every entity had taken a command. */
  startMs = 0
  readonly #data: string
  readonly #session: PlantSession
  readonly #door: StreamDoorClient
  readonly #workers: number
  /** Each of a press, in the log before the plant was started. */
  readonly #eventsBefore: number
  readonly #ids: readonly EntityId[]
  /** Those of the first worker. */
  readonly #lost: readonly EntityId[]
  #rounds = 0
  #paced = 0
  #pacedSettled = 0
  #isPacing = false
  #failure: string | undefined

  /** `keepsTail`: what has no snapshot at the start gets none, so that each kill finds it. */
  static async start(data: string, entities: number, eventsEach: number, workers: number, keepsTail: boolean): Promise<RecoveryPlant> {
    const startMs = performance.now()
    const session = await PlantSession.start({
      dataDirectory: data,
      plantFile: compiledPath('harness/press-plant'),
      env: {
        MILLRACE_HTTP__PORT: '0',
        MILLRACE_WORKERS__COUNT: `${workers}`,
        MILLRACE_WORKERS__LIVE_ENTITIES_MAX: LIVE_ENTITIES,
        ...(keepsTail ? { MILLRACE_WORKERS__TAIL_ROWS_MAX: '0' } : {}),
      },
    })
    await session.ready(WITHIN_MS)
    const plant = new RecoveryPlant(data, session, await connectDoor(data), entities, eventsEach, workers)
    await plant.#sendTo(plant.#ids)
    plant.startMs = performance.now() - startMs
    return plant
  }

  private constructor(data: string, session: PlantSession, door: StreamDoorClient, entities: number, eventsEach: number, workers: number) {
    this.#data = data
    this.#session = session
    this.#door = door
    this.#workers = workers
    this.#eventsBefore = eventsEach
    this.#ids = Array.from({ length: entities }, (_, index) => entityId('press', `press-${index + 1}`))
    const placement = Placement.even(SHARD_COUNT_DEFAULT, workers)
    this.#lost = this.#ids.filter((id) => placement.slotOf(shardOfId(id, SHARD_COUNT_DEFAULT)) === 0)
  }

  /** Entities of the worker that is killed. */
  get lostCount(): number {
    return this.#lost.length
  }

  /** Waits until a spare stands by and rests, and the journal has sealed what it was sealing, then kills. */
  async kill(): Promise<KillResult> {
    await this.#resting()
    const { processes, recoveryCount } = await this.#session.status()
    const pidOf = (role: string) => processes.find((one) => one.role === role && one.slot === 0)?.pid ?? 0
    const spare = processes.find((one) => one.role === 'worker' && one.slot === null)?.pid ?? 0
    const [worker, journal] = [pidOf('worker'), pidOf('journal')]
    const steadyMb = residentMbOf(worker) + residentMbOf(journal)
    let peakMb = 0
    const sampling = setInterval(() => (peakMb = Math.max(peakMb, residentMbOf(spare) + residentMbOf(journal))), SAMPLE_EVERY_MS)
    const startMs = performance.now()
    process.kill(worker, 'SIGKILL')
    await this.#sendTo(this.#lost)
    const ms = performance.now() - startMs
    clearInterval(sampling)
    await this.#session.ready(WITHIN_MS)
    return { ms, recovery: await this.#recovery(recoveryCount), steadyMb, peakMb }
  }

  /** From now on sends so many commands a second, entity after entity, until `close`. */
  pace(perSecond: number): void {
    this.#isPacing = true
    const startMs = performance.now()
    const step = (): void => {
      if (!this.#isPacing) return
      const due = Math.floor(((performance.now() - startMs) / 1000) * perSecond)
      for (; this.#paced < due; this.#paced++) {
        const sequence = Math.floor(this.#paced / this.#ids.length) + 1
        if (!this.#offer('pace', this.#ids[this.#paced % this.#ids.length] as EntityId, sequence, () => this.#pacedSettled++)) break
      }
      setTimeout(step, 2)
    }
    step()
  }

  /** Stops the plant and compares: live states with those of a replay, and each entity's rows with the commands that were acknowledged. */
  async close(): Promise<{ readonly hashOk: boolean; readonly ackedMissing: number; readonly duplicated: number }> {
    this.#isPacing = false
    while (this.#pacedSettled < this.#paced) await delay(LOOK_EVERY_MS)
    await this.#untilIdle()
    if (this.#failure !== undefined) throw failed(this.#failure)
    const live = new PlantHash()
    for (let slot = 0; slot < this.#workers; slot++)
      live.merge(((await this.#session.call('worker', slot, 'stateHash')) as { hash: string }).hash)
    await this.#door.close()
    await this.#session.close()
    const journal = await openLog(this.#data, { isReadOnly: true })
    try {
      let [ackedMissing, duplicated] = [0, 0]
      const lost = new Set(this.#lost)
      for (const [index, id] of this.#ids.entries()) {
        const paced = Math.ceil((this.#paced - index) / this.#ids.length)
        const rounds = lost.has(id) ? this.#rounds : 1
        const surplus = (journal.head(id)?.version ?? 0) - (this.#eventsBefore + rounds + Math.max(0, paced))
        ackedMissing += Math.max(0, -surplus)
        duplicated += Math.max(0, surplus)
      }
      return { hashOk: live.hex() === (await replayHash(journal, new PlantModel([Press]))), ackedMissing, duplicated }
    } finally {
      await journal.close()
    }
  }

  async #sendTo(ids: readonly EntityId[]): Promise<void> {
    const sequence = this.#eventsBefore + ++this.#rounds
    let left = ids.length
    let done: () => void = () => {}
    const all = new Promise<void>((resolve) => (done = resolve))
    const settled = (): void => {
      if (--left === 0) done()
    }
    for (const id of ids)
      while (!this.#offer(PRESS_SOURCE, id, sequence, settled)) await new Promise<void>((resolve) => this.#door.onRoom(resolve))
    await all
  }

  #offer(source: string, entity: EntityId, sequence: number, settled: () => void): boolean {
    const data = { temperature: sequence / 8, cycle: sequence }
    const offered = this.#door.offer({ source, sequence, entity, command: 'sample', data, at: undefined }, 'refused', (settlement) => {
      if (settlement.kind !== 'done') this.#failure ??= JSON.stringify(settlement)
      settled()
    })
    if (offered === 'full') return false
    if (offered !== 'accepted') throw failed(offered.rejected)
    return true
  }

  async #recovery(before: number): Promise<Recovery> {
    for (;;) {
      const { recoveryCount, recoveries } = await this.#session.status()
      const last = recoveries.at(-1)
      if (recoveryCount > before && last !== undefined) return last
      await delay(LOOK_EVERY_MS)
    }
  }

  /** The spare is there, and neither it nor, while nothing is sent, the journal takes more processor time than one that waits. */
  async #resting(): Promise<void> {
    for (let lastNs = Number.NaN; ; ) {
      const { processes } = await this.#session.status()
      const spare = processes.find((one) => one.role === 'worker' && one.slot === null)
      const isOldEnough = (spare?.uptimeMs ?? 0) > WARM_UP_BEGINS_MS
      const ready = isOldEnough && spare?.state === 'standby' && processes.every((one) => one.slot === null || one.state === 'ready')
      const journal = this.#isPacing ? undefined : processes.find((one) => one.role === 'journal' && one.slot === 0)
      const ns = ready ? cpuNsOf(spare.pid ?? 0) + (journal === undefined ? 0 : cpuNsOf(journal.pid ?? 0)) : Number.NaN
      if (ns - lastNs < 4 * LOOK_EVERY_MS * 1e6 * RESTING_SHARE) return
      lastNs = ns
      await delay(4 * LOOK_EVERY_MS)
    }
  }

  async #untilIdle(): Promise<void> {
    for (let slot = 0; slot < this.#workers; slot++)
      while ((await this.#session.call('worker', slot, 'idle')) !== true) await delay(LOOK_EVERY_MS)
  }
}

/** Gives the page cache back to the machine, as far as nothing maps it; false where that is not permitted. */
export function dropPageCache(): boolean {
  try {
    execFileSync('sync')
    writeFileSync('/proc/sys/vm/drop_caches', '3')
    return true
  } catch {
    return false
  }
}

function failed(what: string): MillraceError {
  return new MillraceError('ERR_BENCH_FAILED', { fact: 'a command came to something else than done', action: 'operator', values: { what } })
}
