import { existsSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { MillraceError } from '#base/errors.js'
import type { Prng } from '#base/prng.js'
import { channelBytes, channelStat, createChannel } from '#bus/index.js'
import * as layout from '#bus/layout.js'
import { Mapping } from '#shm/index.js'
import { FaultJudge, type Verdict } from './fault-judge.js'
import { FAILED_DAMAGED, FaultLedger, type FaultRole, LEDGER_BYTES } from './fault-ledger.js'
import type { FaultOrder, FaultSabotage } from './fault-order.js'
import type { FaultPlan, Occasion } from './fault-plan.js'
import type { FaultProcess, WarmProcesses } from './fault-processes.js'

export interface LaneReport {
  readonly kills: number
  readonly verdict: Verdict
  /** An end found the channel damaged although nothing had written into it but the ends. */
  readonly isDamaged: boolean
  readonly frames: number
  readonly resumeMs: readonly number[]
}

export interface LaneOptions {
  readonly folder: string
  readonly name: string
  readonly kills: number
  readonly sabotage: FaultSabotage | undefined
  readonly prng: Prng
  readonly plan: FaultPlan
  readonly processes: WarmProcesses
}

const ROLES: readonly FaultRole[] = ['producer', 'consumer']
/** Few spin: that is for processes with a core each, which there are not. */
const STRATEGIES = ['park', 'park', 'park', 'adaptive', 'adaptive', 'adaptive', 'adaptive', 'spin'] as const
const CAPACITY_EXPONENT_MIN = 7
const CAPACITY_EXPONENTS = 8
/** How long an end may live before the next kill. */
const LIFE_MS_MAX = 8
const RESUMED_MS_MAX = 1000
const STALLED_MS = 20_000
/** A consumer lives through fewer producers than its record has room for. */
const OUTLIVED_MAX = 300
/** So many processes of a role may die while they make the channel. */
const CREATIONS_MAX = 3

/**
 * One channel with a real process at each end, from the first opening until its kills are done and all that was published is released. Both ends
 * are killed again and again; successors take over at once.
 */
export class FaultLane {
  readonly #options: LaneOptions
  readonly #mapping: Mapping
  readonly #ledger: FaultLedger
  readonly #judge: FaultJudge
  readonly #incarnations = { producer: 0, consumer: 0 }
  readonly #ends: Partial<Record<FaultRole, FaultProcess>> = {}
  readonly #resumeMs: number[] = []
  readonly #noticesTaken = { producer: 0, consumer: 0 }
  readonly #order: Pick<FaultOrder, 'directory' | 'name' | 'ledger' | 'capacityBytes' | 'strategy' | 'checksums' | 'seed'>
  readonly #isLapping: boolean
  #ring: Mapping | undefined
  #kills = 0
  #outlived = 0
  /** Both ends are new: neither is a survivor that could go on. */
  #isAnew = true

  constructor(options: LaneOptions) {
    const { folder, name, prng } = options
    this.#options = options
    const ledger = join(folder, `${name}.ledger`)
    this.#mapping = Mapping.create(ledger, LEDGER_BYTES)
    this.#ledger = new FaultLedger(this.#mapping.buffer)
    this.#judge = new FaultJudge((incarnation) => this.#ledger.producer(incarnation))
    this.#order = {
      directory: folder,
      name,
      ledger,
      capacityBytes: 2 ** (CAPACITY_EXPONENT_MIN + prng.below(CAPACITY_EXPONENTS)),
      strategy: prng.pick(STRATEGIES),
      checksums: prng.below(2) === 0,
      seed: prng.nextInt32() & 0xffff,
    }
    this.#isLapping = prng.below(3) === 0
    if (this.#isLapping) this.#createBeforeLap()
  }

  /** Throws ERR_BENCH_FAILED when a process ended otherwise than by a kill, or when an end does not go on. */
  async run(): Promise<LaneReport> {
    const { kills, sabotage } = this.#options
    let isDamaged = false
    try {
      for (const role of ROLES) this.#start(role)
      if (sabotage !== undefined) await this.#until('the sabotage is done', () => this.#ledger.isSabotaged)
      while (this.#kills < kills && !isDamaged) {
        await this.#strike(kills - this.#kills)
        isDamaged = await this.#replaceDead()
      }
      if (!isDamaged) isDamaged = await this.#drain()
      for (const role of ROLES) this.#ends[role]?.kill()
      await Promise.all(ROLES.map((role) => (this.#ends[role] as FaultProcess).ended))
      if (!isDamaged) {
        this.#judge.judge(this.#ledger.consumer(this.#incarnations.consumer))
        this.#judge.finish(this.#incarnations.producer)
        await this.#killWhileMending()
      }
      return { kills: this.#kills, verdict: this.#judge.verdict, isDamaged, frames: this.#frames(), resumeMs: this.#resumeMs }
    } finally {
      this.#close()
    }
  }

  #start(role: FaultRole, forced?: Occasion): void {
    const { plan, processes, sabotage } = this.#options
    const incarnation = ++this.#incarnations[role]
    if (role === 'consumer') this.#ledger.clearConsumer(incarnation)
    const isSpared = forced === undefined && (this.#ledger.isStopping || (sabotage !== undefined && incarnation === 1))
    const occasion = forced ?? (isSpared ? 'none' : this.#prepare(role))
    this.#ends[role] = processes.take({
      ...this.#order,
      role,
      incarnation,
      fate: isSpared || forced === 'none' ? null : plan.fate(occasion),
      isClosing: occasion === 'closes',
      sabotage: role === 'producer' && incarnation === 1 && sabotage !== undefined ? sabotage : null,
    })
  }

  /** Makes a rare store likely, while nobody holds the end whose words these are. */
  #prepare(role: FaultRole): Occasion {
    const { prng } = this.#options
    const path = join(this.#order.directory, `${this.#order.name}.ring`)
    if (!existsSync(path)) return this.#incarnations[role] <= CREATIONS_MAX ? 'creates' : 'none'
    if (this.#isLapping && role === 'producer' && this.#incarnations.producer === 1) return 'laps'
    if (prng.below(12) === 0) return 'closes'
    if (role === 'consumer' || prng.below(6) !== 0) return 'none'
    this.#ring ??= Mapping.open(path)
    const words = new Int32Array(this.#ring.buffer, 0, layout.HEADER_BYTES / 4)
    if (prng.below(2) === 0) {
      words[layout.FRAMES_LOW_WORD] = -1 - prng.below(40)
      return 'counts'
    }
    // A tap whose process died: its lease has run out.
    Atomics.store(words, layout.TAP_POSITION_WORD, Atomics.load(words, layout.RELEASED_WORD))
    Atomics.store(words, layout.TAP_STATE_WORD, layout.TAP_HOLDING)
    return 'tapped'
  }

  /** Positions soon go past 2^32. */
  #createBeforeLap(): void {
    const { capacityBytes, name, directory, checksums } = this.#order
    const before = 8 * (1 + this.#options.prng.below(capacityBytes / 4))
    this.#ring = Mapping.create(join(directory, `${name}.ring`), channelBytes(capacityBytes))
    createChannel(this.#ring.buffer, { capacityBytes, schemaHash: 0, name, hasChecksums: checksums, producerPosition: -before })
  }

  /** Lets the ends go on for a moment, then kills one or both, unless one died by itself meanwhile. */
  async #strike(killsLeft: number): Promise<void> {
    const { prng } = this.#options
    const ends = ROLES.map((role) => this.#ends[role] as FaultProcess)
    const hasAnyEnded = () => ends.some((end) => end.hasEnded)
    const areAttached = () => ROLES.every((role) => this.#ledger.attachedLast(role) === this.#incarnations[role])
    await this.#until('both ends attach', () => areAttached() || hasAnyEnded())
    const pause = new AbortController()
    await Promise.race([
      ...ends.map((end) => end.ended),
      delay(prng.next() * LIFE_MS_MAX, undefined, { signal: pause.signal }).catch(() => {}),
    ])
    pause.abort()
    // Most are killed once the survivor of the last kill went on, some before.
    if (prng.below(8) !== 0) {
      const deadlineMs = performance.now() + RESUMED_MS_MAX
      const hasResumed = () => ROLES.every((role) => this.#ledger.hasResumed(role))
      while (!hasResumed() && !hasAnyEnded() && performance.now() < deadlineMs) await delay(1)
    }
    this.#takeResumed()
    const isBoth = killsLeft > 1 && (prng.below(6) === 0 || this.#outlived >= OUTLIVED_MAX)
    const victims = isBoth ? ends : hasAnyEnded() ? [] : [prng.pick(ends)]
    for (const end of victims) end.kill()
    await Promise.all(victims.map((end) => end.ended))
  }

  /** True when an end died of a damaged channel: nothing more can come of this one. */
  async #replaceDead(): Promise<boolean> {
    for (const role of ROLES) {
      const end = this.#ends[role] as FaultProcess
      if (!end.hasEnded) continue
      if (!(await end.ended)) {
        if (this.#ledger.takeFailed(role) === FAILED_DAMAGED) return true
        throw failed('an end failed', { channel: this.#order.name, role, incarnation: this.#incarnations[role] })
      }
      this.#kills++
      this.#options.plan.died(this.#ledger.takeDiedAt(role))
      if (role === 'consumer') this.#judge.judge(this.#ledger.consumer(this.#incarnations.consumer))
      this.#outlived = role === 'consumer' ? 0 : this.#outlived + 1
    }
    const dead = ROLES.filter((role) => (this.#ends[role] as FaultProcess).hasEnded)
    this.#isAnew = dead.length === ROLES.length
    for (const role of dead) this.#start(role)
    return false
  }

  /** Until all that was ever published is released. Ends that still have a fate may die on the way. */
  async #drain(): Promise<boolean> {
    this.#ledger.stopProducing()
    const path = join(this.#order.directory, `${this.#order.name}.ring`)
    const isDrained = () => {
      if (!existsSync(path)) return false
      const ring = (this.#ring ??= Mapping.open(path))
      const { released, releaseIntended } = this.#ledger.consumer(this.#incarnations.consumer)
      return this.#ledger.hasStopped && released === releaseIntended && channelStat(ring.buffer).unreleasedBytes === 0
    }
    let isDamaged = false
    const hasDied = () => ROLES.some((role) => (this.#ends[role] as FaultProcess).hasEnded)
    while (!isDamaged) {
      await this.#until('all is released', () => isDrained() || hasDied())
      if (!hasDied()) break
      isDamaged = await this.#replaceDead()
    }
    return isDamaged
  }

  /** All is judged. Damages the channel, and kills the producer that is about to make it anew; its successor has to succeed in that. */
  async #killWhileMending(): Promise<void> {
    const { name, directory } = this.#order
    const isAttached = () => this.#ledger.attachedLast('producer') === this.#incarnations.producer
    new Int32Array((this.#ring as Mapping).buffer)[layout.MAGIC_WORD] = 0
    this.#start('producer', 'mends')
    const mender = this.#ends.producer as FaultProcess
    await this.#until('the damaged channel is given up', () => isAttached() || mender.hasEnded)
    mender.kill()
    await mender.ended
    this.#kills++
    this.#options.plan.died(this.#ledger.takeDiedAt('producer'))
    this.#start('producer', 'none')
    await this.#until('the damaged channel is made anew', isAttached)
    this.#ends.producer?.kill()
    await this.#ends.producer?.ended
    const mended = Mapping.open(join(directory, `${name}.ring`))
    const { publishedPosition, producer } = channelStat(mended.buffer)
    mended.close()
    if (producer.attachCount < 1 || publishedPosition < 0) throw failed('a channel made anew is not as new', { channel: name })
  }

  #takeResumed(): void {
    for (const role of ROLES) {
      const notices = this.#ledger.notices(role)
      if (notices === this.#noticesTaken[role] || !this.#ledger.hasResumed(role)) continue
      this.#noticesTaken[role] = notices
      const resumeMs = this.#ledger.resumeMs(role)
      // Below 0: the end is a successor itself, that attached after the other.
      if (resumeMs >= 0 && !this.#isAnew) this.#resumeMs.push(resumeMs)
    }
  }

  #frames(): number {
    let frames = 0
    for (let incarnation = 1; incarnation <= this.#incarnations.producer; incarnation++)
      frames += this.#ledger.producer(incarnation).published
    return frames
  }

  async #until(claim: string, condition: () => boolean): Promise<void> {
    const deadlineMs = performance.now() + STALLED_MS
    while (!condition()) {
      if (performance.now() > deadlineMs) throw failed(`it does not come to pass that ${claim}`, { ...this.#order, ...this.#incarnations })
      await delay(1)
    }
  }

  #close(): void {
    const { directory, name } = this.#order
    for (const role of ROLES) this.#ends[role]?.kill()
    this.#ring?.close()
    this.#mapping.close()
    for (const suffix of ['ledger', 'ring', 'ring.lock', 'ring.draft', 'producer.lock', 'consumer.lock', 'producer.bell', 'consumer.bell'])
      rmSync(join(directory, `${name}.${suffix}`), { force: true })
  }
}

function failed(fact: string, values: Readonly<Record<string, unknown>>): MillraceError {
  return new MillraceError('ERR_BENCH_FAILED', { fact, action: 'retry', values })
}
