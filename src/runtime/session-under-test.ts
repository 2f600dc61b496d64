import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { type EntityId, entityId } from '#base/ids.js'
import type { DiskPressure } from '#drills/disk-pressure.js'
import type { LoggedCommand } from '#drills/ledger.js'
import type { LoggedRow, PlantUnderTest, StoppedProcess } from '#drills/plant-under-test.js'
import { notRecovered } from '#drills/supervision-watch.js'
import { PlantHash, type PlantModel } from '#entity/index.js'
import type { Settlement } from '#ingest/index.js'
import type { StreamDoorClient } from '#ingest/stream-client.js'
import { OUTCOME_NONE } from '#journal/append-frame.js'
import { DRILLED } from '#plant/drilled.js'
import { Trap } from '#plant/trap.js'
import { streamControl } from '#processes/control-client.js'
import { type ChildRole, type Seat, seatName } from '#processes/process-role.js'
import type { SupervisionEvent } from '#processes/supervision-event.js'
import type { UpgradeStep } from '#recovery/code-upgrade.js'
import type { CountStep } from '#recovery/worker-count.js'
import { WHOLE_PLANT } from '#recovery/health.js'
import type { Recovery, StateHashes } from '#recovery/report.js'
import { dataPaths } from './data-directory.js'
import { connectDoor } from './door-access.js'
import { writeDrillRelease } from './drill-release.js'
import { JournalAccess } from './journal-access.js'
import type { PlantSession } from './plant-session.js'
import { replayHashOf } from './replay-hash.js'
import { ROOM_EVENT } from './role-process.js'
import { StoppedProcesses } from './stopped-processes.js'

const BACK_WITHIN_MS = 30_000
const FULL_WITHIN_MS = 10_000
const LOOK_EVERY_MS = 2
const IDLE_WITHIN_MS = 30_000
const TEND_EVERY_MS = 100
const OF_NO_DEVICE: ReadonlySet<string> = new Set(DRILLED.map(({ name }) => name))
const FIRST_VERSION = '0.0.0'
/** Of a new version, in which a fleet sends hundreds of commands. */
const PROBATION_MS = 500
/** A process may take over cold, which takes longer and shows the worst. */
const WARM_UP_MS = 500

export interface SessionUnderTestOptions {
  readonly session: PlantSession
  readonly plant: PlantModel
  /** Of the plant that the session was started with: later versions are made from it. */
  readonly plantFile: string
  /** What fills the disk, or why it cannot be filled. */
  readonly disk: DiskPressure | string
}

/** A plant of many processes as drills break it and look into it. */
export class SessionUnderTest implements PlantUnderTest {
  readonly #session: PlantSession
  readonly #plant: PlantModel
  readonly #plantFile: string
  readonly #disk: DiskPressure | string
  readonly #firstPosition: number
  readonly #listeners = new Set<(event: SupervisionEvent) => void>()
  readonly #stopped = new StoppedProcesses()
  readonly #closing = new AbortController()
  readonly #following: Promise<void>
  /** For what no device sends, opened when it is first sent. */
  #door: Promise<StreamDoorClient> | undefined
  readonly #tending: NodeJS.Timeout | undefined

  /** What is in the log already belongs to earlier runs. */
  static async open(options: SessionUnderTestOptions): Promise<SessionUnderTest> {
    return new SessionUnderTest(options, await withLog(options.session, (access) => access.endPosition()))
  }

  private constructor({ session, plant, plantFile, disk }: SessionUnderTestOptions, firstPosition: number) {
    this.#session = session
    this.#plant = plant
    this.#plantFile = plantFile
    this.#disk = disk
    this.#firstPosition = firstPosition
    this.#following = this.#follow()
    if (typeof disk !== 'string') this.#tending = setInterval(() => disk.tend(), TEND_EVERY_MS).unref()
  }

  kill({ role, slot }: Seat<ChildRole>): Promise<number> {
    return this.#session.kill(role, slot)
  }

  async stop(seat: Seat): Promise<StoppedProcess> {
    return this.#stopped.stop(seat, await this.#pidOf(seat))
  }

  async crash(what: 'supervisor' | 'everything'): Promise<Recovery> {
    const { processes } = await this.#session.status()
    const startedMs = performance.now()
    const killed = this.#session.killSupervisor()
    if (what === 'everything') for (const { role, pid } of processes) if (role !== 'supervisor' && pid !== null) killHard(pid)
    await killed
    const reapedMs = performance.now()
    await this.#session.restartSupervisor(reserveOf(this.#disk))
    const readyMs = performance.now()
    const phases = { noticed: 0, reaped: reapedMs - startedMs, started: 0, ready: readyMs - reapedMs }
    const process = what === 'everything' ? WHOLE_PLANT : 'supervisor/0'
    return { process, cause: 'SIGKILL', rtoMs: readyMs - startedMs, entities: 0, events: 0, phases }
  }

  async sendFatal(): Promise<boolean> {
    const settlement = await this.send(entityId(Trap.name, 'drill'), 'spring', {})
    return settlement.kind === 'failed' && settlement.message.includes('it is parked as')
  }

  async send(entity: EntityId, command: string, data: Readonly<Record<string, unknown>>): Promise<Settlement> {
    const door = await (this.#door ??= connectDoor(this.#session.dataDirectory))
    return new Promise((resolve, reject) => {
      const offer = () => {
        const offered = door.offer({ source: '', sequence: 0, entity, command, data, at: undefined }, 'always', resolve)
        if (offered === 'full') door.onRoom(offer)
        else if (offered !== 'accepted') reject(new Error(offered.rejected))
      }
      offer()
    })
  }

  async upgrade(isBroken: boolean): Promise<boolean> {
    const { dataDirectory } = this.#session
    const version = (await this.#session.status()).code?.version ?? FIRST_VERSION
    const folder = join(dataPaths(dataDirectory).drills, 'releases')
    const plantFile = writeDrillRelease({ plantFile: this.#plantFile, folder, version, isBroken })
    return this.#isChanged('upgrade', { plantFile, probationMs: PROBATION_MS, warmUpMs: WARM_UP_MS })
  }

  async rescale(): Promise<boolean> {
    const before = (await this.#session.workerSlots()).length
    return (await this.#isChanged('workers', { count: before + 1 })) && this.#isChanged('workers', { count: before })
  }

  async fillDisk(): Promise<string | undefined> {
    const disk = this.#disk
    if (typeof disk === 'string') return disk
    const said = this.#untilOutOfRoom()
    const whyNot = disk.fill()
    if (whyNot !== undefined) return whyNot
    if (await said) return undefined
    disk.empty()
    return `the plant did not notice within ${FULL_WITHIN_MS} ms that the disk is full`
  }

  async emptyDisk(): Promise<void> {
    if (typeof this.#disk !== 'string') this.#disk.empty()
  }

  async keepRoom(): Promise<boolean> {
    if (typeof this.#disk === 'string' || !this.#disk.isExhausted) return false
    await this.#session.killSupervisor()
    await this.#session.restartSupervisor(reserveOf(this.#disk))
    return true
  }

  whenReady(): Promise<void> {
    return this.#session.ready(BACK_WITHIN_MS)
  }

  onEvent(listener: (event: SupervisionEvent) => void): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  async *log(): AsyncGenerator<LoggedCommand> {
    const access = await JournalAccess.open(this.#session.dataDirectory)
    try {
      /** Of commands whose last row has not come. */
      const begun = new Map<string, Readonly<Record<string, unknown>>[]>()
      for await (const { entity, version, at, event, data, outcomeKind } of access.query({ receipts: true, from: this.#firstPosition })) {
        if (OF_NO_DEVICE.has(entity.slice(0, entity.indexOf('/')))) continue
        const events = begun.get(entity) ?? []
        if (event !== undefined) events.push(data)
        if (outcomeKind === OUTCOME_NONE) {
          begun.set(entity, events)
          continue
        }
        begun.delete(entity)
        yield { entity, version, at, events }
      }
    } finally {
      await access.close()
    }
  }

  async *rows(pattern: string): AsyncGenerator<LoggedRow> {
    const access = await JournalAccess.open(this.#session.dataDirectory)
    try {
      yield* access.query({ entity: pattern, receipts: true, from: this.#firstPosition })
    } finally {
      await access.close()
    }
  }

  async stateHashes(): Promise<StateHashes> {
    const live = new PlantHash()
    for (const slot of await this.#session.workerSlots()) {
      await this.#untilIdle(slot)
      live.merge(((await this.#session.call('worker', slot, 'stateHash')) as { hash: string }).hash)
    }
    return { live: live.hex(), replayed: await withLog(this.#session, (access) => replayHashOf(access, this.#plant)) }
  }

  async size(): Promise<{ readonly rows: number; readonly bytes: number }> {
    const { endPosition, storedBytes } = await withLog(this.#session, (access) => access.summary())
    return { rows: endPosition, bytes: storedBytes }
  }

  /** Wakes what a drill that failed left stopped, and gives the disk back. Before the session is closed. */
  async close(): Promise<void> {
    clearInterval(this.#tending)
    this.#stopped.wakeAll()
    await this.emptyDisk()
    this.#closing.abort()
    await this.#following
    await (await this.#door)?.close()
  }

  /** Whether the plant has changed as it was asked to, once its steps are over. */
  async #isChanged(name: string, args: object): Promise<boolean> {
    let isDone = false
    for await (const step of streamControl(dataPaths(this.#session.dataDirectory).supervisorSocket, name, args) as AsyncIterable<
      UpgradeStep | CountStep
    >)
      if (step.kind === 'ended') isDone = step.report.ok
    return isDone
  }

  async #pidOf(seat: Seat): Promise<number | undefined> {
    if (seat.role === 'supervisor') return this.#session.supervisorPid
    const { processes } = await this.#session.status()
    return processes.find(({ role, slot }) => role === seat.role && slot === seat.slot)?.pid ?? undefined
  }

  /** One supervisor after the other. */
  async #follow(): Promise<void> {
    const { signal } = this.#closing
    while (!signal.aborted) {
      try {
        for await (const event of this.#session.events(signal)) for (const listener of this.#listeners) listener(event as SupervisionEvent)
      } catch {
        await delay(LOOK_EVERY_MS)
      }
    }
  }

  #untilOutOfRoom(): Promise<boolean> {
    return new Promise((resolve) => {
      const timer = setTimeout(() => settle(false), FULL_WITHIN_MS).unref()
      const unsubscribe = this.onEvent((event) => {
        if (event.kind === 'reported' && event.name === ROOM_EVENT) settle(true)
      })
      const settle = (isSaid: boolean) => {
        clearTimeout(timer)
        unsubscribe()
        resolve(isSaid)
      }
    })
  }

  async #untilIdle(slot: number): Promise<void> {
    const deadlineMs = performance.now() + IDLE_WITHIN_MS
    while ((await this.#session.call('worker', slot, 'idle')) !== true) {
      if (performance.now() > deadlineMs) throw notRecovered(`${seatName({ role: 'worker', slot })} is idle`)
      await delay(LOOK_EVERY_MS)
    }
  }
}

/** What a plant that is about to start has to be told so that its disk can be made full. */
export function reserveOf(disk: DiskPressure | string): Readonly<Record<string, string>> {
  return typeof disk === 'string' ? {} : { MILLRACE_JOURNAL__RESERVE_BYTES: String(disk.newReserve()) }
}

async function withLog<T>(session: PlantSession, ask: (access: JournalAccess) => Promise<T>): Promise<T> {
  const access = await JournalAccess.open(session.dataDirectory)
  try {
    return await ask(access)
  } finally {
    await access.close()
  }
}

function killHard(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error
  }
}
