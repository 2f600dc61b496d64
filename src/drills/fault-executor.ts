import type { Clock } from '#base/clock.js'
import { isMillraceError } from '#base/errors.js'
import { type ChildRole, type Seat, seatName } from '#processes/process-role.js'
import type { SupervisionEvent } from '#processes/supervision-event.js'
import { recoveryOf } from '#recovery/recovery-log.js'
import type { Recovery } from '#recovery/report.js'
import type { DeviceFleet } from './device-fleet.js'
import type { Fault, FaultKind } from './fault.js'
import type { PlantUnderTest } from './plant-under-test.js'
import { notRecovered, SupervisionWatch } from './supervision-watch.js'
import type { Trials } from './trials.js'

export interface FaultOutcome {
  /** Of the processes that were replaced while it lasted. */
  readonly recoveries: readonly Recovery[]
  /** Why it was not carried out. */
  readonly skipped?: string
}

/** Undefined: carried out. Else why not. */
type Carried = Promise<string | undefined>

const JOURNAL: Seat<ChildRole> = { role: 'journal', slot: 0 }
const TRIES = 3
const LOOK_EVERY_MS = 2
const BACK_WITHIN_MS = 30_000
/** One pulse of a slow disk. The stall stays far below the time after which a process counts as hung. */
const STALL_MS = 90
const FLOW_MS = 40
/** The kill comes so long before the first timers are due. */
const BEFORE_DUE_MS = 5

/**
 * Carries faults out on a plant, one at a time. Each ends when every seat works again and the devices have been told of a new durable command; what has to come
 * first, a successor on its way or a death, is waited for by what the supervisor says and never by a time.
 */
export class FaultExecutor {
  readonly #plant: PlantUnderTest
  readonly #fleet: DeviceFleet
  readonly #clock: Clock
  readonly #trials: Trials
  readonly #recoveries: Recovery[] = []
  readonly #unsubscribe: () => void

  constructor(options: {
    readonly plant: PlantUnderTest
    readonly fleet: DeviceFleet
    readonly clock: Clock
    readonly trials: Trials
  }) {
    this.#plant = options.plant
    this.#fleet = options.fleet
    this.#clock = options.clock
    this.#trials = options.trials
    this.#unsubscribe = options.plant.onEvent((event) => {
      if (event.kind === 'replaced') this.#recoveries.push(recoveryOf(event.replacement))
    })
  }

  /** Every recovery since the executor was made, also those that no fault of its asked for. */
  get recoveries(): readonly Recovery[] {
    return this.#recoveries
  }

  close(): void {
    this.#unsubscribe()
  }

  /** Rejects with ERR_NOT_RECOVERED when the plant does not come back. */
  async carryOut(fault: Fault): Promise<FaultOutcome> {
    const before = this.#recoveries.length
    await this.#plant.keepRoom()
    const skipped = await this.#carryWithRoom(fault)
    await this.#plant.whenReady()
    await this.#untilServed()
    return { recoveries: this.#recoveries.slice(before), ...(skipped === undefined ? {} : { skipped }) }
  }

  /** A plant that others leave no room on the disk cannot recover before it has some: that says nothing about the plant. */
  async #carryWithRoom(fault: Fault): Carried {
    try {
      return await this.#carry(fault)
    } catch (error) {
      if (!isMillraceError(error, 'ERR_NOT_RECOVERED') || !(await this.#plant.keepRoom())) throw error
      await this.#trials.abandon()
      return 'others took the room on the disk meanwhile'
    }
  }

  async #carry(fault: Fault): Carried {
    const watch = new SupervisionWatch(this.#plant, this.#clock)
    try {
      return await this.#steps[fault.kind](fault, watch)
    } finally {
      watch.close()
    }
  }

  readonly #steps: { readonly [Kind in FaultKind]: (fault: Fault, watch: SupervisionWatch) => Carried } = {
    kill: async ({ seat }, watch) => {
      const child = childSeat(seat)
      const pid = await this.#killHolder(child)
      await this.#untilReplaced(watch, child, await this.#untilDead(watch, pid))
      return undefined
    },
    stop: async ({ seat, forMs }, watch) => {
      const stopped = await this.#plant.stop(seat)
      try {
        await this.#pause(forMs)
      } finally {
        stopped.wake()
      }
      const hung = watch.find((event) => (event.kind === 'hung' || event.kind === 'died') && event.pid === stopped.pid)
      if (hung >= 0) await this.#untilReplaced(watch, childSeat(seat), hung)
      return undefined
    },
    'slow-disk': async (fault) => {
      const pulses = async (isOver: () => boolean) => {
        while (!isOver()) {
          await this.#stall()
          await this.#pause(FLOW_MS)
        }
      }
      await this.#last(fault, () => undefined, pulses)
      return undefined
    },
    'full-disk': async (fault) => {
      const whyNot = await this.#plant.fillDisk()
      if (whyNot !== undefined) return whyNot
      await this.#last(fault, () => this.#plant.emptyDisk())
      return undefined
    },
    flood: async (fault) => {
      const fullBefore = this.#fleet.fullCount
      this.#fleet.beginFlood()
      await this.#last(fault, () => this.#fleet.endFlood())
      await this.#until('the devices got rid of what the flood left them', () => this.#fleet.bufferedCount === 0)
      return this.#fleet.fullCount > fullBefore ? undefined : 'the plant took all that the devices could send, so that nothing had to hold'
    },
    'journal-in-recovery': async ({ seat }, watch) => {
      const worker = childSeat(seat)
      return this.#tryTimes('the worker was back before the journal was dead', async () => {
        const workerDied = await this.#untilDead(watch, await this.#killHolder(worker))
        const journalDied = await this.#untilDead(watch, await this.#killHolder(JOURNAL))
        const workerBack = await this.#untilReplaced(watch, worker, workerDied)
        await this.#untilReplaced(watch, JOURNAL, journalDied)
        return workerBack > journalDied
      })
    },
    'replacement-in-recovery': async ({ seat }, watch) => {
      const child = childSeat(seat)
      return this.#tryTimes('the successor was at work before it was dead', async () => {
        const firstDied = await this.#untilDead(watch, await this.#killHolder(child))
        const successor = await this.#killHolder(child)
        const successorDied = await this.#untilDead(watch, successor)
        await this.#untilReplaced(watch, child, successorDied)
        const atWork = watch.find((event) => event.kind === 'ready' && event.pid === successor, firstDied)
        return atWork < 0
      })
    },
    'all-at-once': async () => {
      this.#recoveries.push(await this.#plant.crash('everything'))
      return undefined
    },
    supervisor: async () => {
      this.#recoveries.push(await this.#plant.crash('supervisor'))
      return undefined
    },
    rescale: async () => {
      if (!(await this.#plant.rescale())) throw notRecovered('the plant has another number of workers, and then the former one')
      return undefined
    },
    'fatal-command': async () => {
      if (!(await this.#plant.sendFatal())) throw notRecovered('a command that ends workers is parked')
      return undefined
    },
    'erring-entity': async ({ during }) => {
      let inner: Promise<unknown> | undefined
      await this.#trials.tryTrees(() => {
        inner = during === undefined ? undefined : this.#carry(during)
        inner?.catch(() => undefined)
      })
      await inner
      return undefined
    },
    timers: async ({ seat }, watch) => {
      const child = childSeat(seat)
      await this.#trials.tryTimers(async (msToFirst) => {
        await this.#pause(Math.max(0, msToFirst - BEFORE_DUE_MS))
        await this.#untilReplaced(watch, child, await this.#untilDead(watch, await this.#killHolder(child)))
      })
      return undefined
    },
    upgrade: async () => {
      if (!(await this.#plant.upgrade(false))) throw notRecovered('the plant runs the code that it was upgraded to')
      return undefined
    },
    'broken-upgrade': async () => {
      if (await this.#plant.upgrade(true)) throw notRecovered('the plant has returned from code that fails')
      return undefined
    },
  }

  /**
   * Lets the fault last, with `work` beside it, and ends it. Then the one that began in its middle may still have to recover: a worker whose appends wait for
   * room on the disk can only do so when there is some.
   */
  async #last({ forMs, during }: Fault, end: () => unknown, work?: (isOver: () => boolean) => Promise<void>): Promise<void> {
    let isOver = false
    let inner: Promise<unknown> | undefined
    const working = work?.(() => isOver)
    try {
      await this.#pause(forMs / 2)
      if (during !== undefined) {
        inner = this.#carry(during)
        inner.catch(() => undefined)
      }
      await this.#pause(forMs / 2)
    } finally {
      isOver = true
      await working
      await end()
    }
    await inner
  }

  async #stall(): Promise<void> {
    const stopped = await ifHeld(this.#plant.stop(JOURNAL))
    if (stopped === undefined) return
    try {
      await this.#pause(STALL_MS)
    } finally {
      stopped.wake()
    }
  }

  /** A kill that has to come at the right moment may come too late: the plant recovers from that one, too, and it is tried again. */
  async #tryTimes(missed: string, attempt: () => Promise<boolean>): Carried {
    for (let count = 0; count < TRIES; count++) {
      if (await attempt()) return undefined
      await this.#plant.whenReady()
    }
    return `${missed}, ${TRIES} times`
  }

  /** As soon as somebody holds the seat. */
  async #killHolder(seat: Seat<ChildRole>): Promise<number> {
    let pid: number | undefined
    await this.#until(`somebody holds ${seatName(seat)}`, async () => {
      pid = await ifHeld(this.#plant.kill(seat))
      return pid !== undefined
    })
    return pid as number
  }

  #untilDead(watch: SupervisionWatch, pid: number): Promise<number> {
    return watch.next(`the death of process ${pid}`, (event) => event.kind === 'died' && event.pid === pid)
  }

  #untilReplaced(watch: SupervisionWatch, seat: Seat, from: number): Promise<number> {
    return watch.next(`the recovery of ${seatName(seat)}`, (event) => isRecoveryOf(seat, event), from)
  }

  /** A command that was acknowledged after all seats worked again: what the sending side calls back. */
  #untilServed(): Promise<void> {
    const acked = this.#fleet.ackedCount
    return this.#until('a command is acknowledged', async () => {
      if (this.#fleet.ackedCount > acked) return true
      await this.#plant.keepRoom()
      return false
    })
  }

  async #until(claim: string, condition: () => boolean | Promise<boolean>): Promise<void> {
    const deadlineMs = this.#clock.monotonicMs() + BACK_WITHIN_MS
    while (!(await condition())) {
      if (this.#clock.monotonicMs() > deadlineMs) throw notRecovered(claim)
      await this.#pause(LOOK_EVERY_MS)
    }
  }

  #pause(ms: number): Promise<void> {
    return new Promise((resolve) => {
      this.#clock.after(ms, resolve)
    })
  }
}

/** Undefined while the seat is empty. */
async function ifHeld<T>(asked: Promise<T>): Promise<T | undefined> {
  try {
    return await asked
  } catch (error) {
    if (isMillraceError(error, 'ERR_SEAT_EMPTY')) return undefined
    throw error
  }
}

function isRecoveryOf(seat: Seat, event: SupervisionEvent): boolean {
  return event.kind === 'replaced' && event.replacement.role === seat.role && event.replacement.slot === seat.slot
}

function childSeat({ role, slot }: Seat): Seat<ChildRole> {
  if (role === 'supervisor') throw new TypeError('the supervisor has nobody who replaces it')
  return { role, slot }
}
