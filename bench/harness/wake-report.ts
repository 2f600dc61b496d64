/** What bus-wake finds, and what it makes of that. */

export const RIVAL_NAMES = ['process.send', 'process.send-advanced', 'message-port', 'unix-socket'] as const

export interface RivalFigures {
  /** `process.send` is Node's default, JSON. */
  readonly name: (typeof RIVAL_NAMES)[number]
  readonly p50Us: number
  readonly p99Us: number
  readonly messagesPerSecond32: number
  readonly messagesPerSecond1024: number
  /** How often our spinning trip, and our parked one, go into one of the rival's. */
  readonly timesOursSpinning: number
  readonly timesOursParked: number
}

/** Medians over the rounds. */
export interface BusWake {
  readonly bench: 'bus-wake'
  readonly p50Us: number
  readonly p99Us: number
  readonly reference: { readonly name: 'c-twin-parked'; readonly p50Us: number; readonly p99Us: number } | null
  /** Why there is no reference. */
  readonly referenceMissing?: string
  /** Of the p50s. */
  readonly ratio: number | null
  /** How often the initiator slept per trip. */
  readonly parksPerTrip: number
  /** Both processes on the first of the two cores. */
  readonly oneCore: {
    readonly p50Us: number
    readonly p99Us: number
    readonly referenceP50Us: number | null
    readonly ratio: number | null
  }
  readonly spinP50Us: number
  readonly idleChannels: number
  readonly idleCpuPercent: number
  readonly loopDelayP99Ms: number
  readonly loopDelayMaxMs: number
  /** What the draining process did meanwhile, per second: frames taken, runs of a timer of 1 ms, answers over a socket. */
  readonly draining: { readonly frames: number; readonly timers: number; readonly echoes: number }
  /** One way, parked ends; `batch` frames per publish. */
  readonly throughput: readonly { readonly bytes: number; readonly batch: number; readonly messagesPerSecond: number }[]
  readonly rivals: readonly RivalFigures[]
  readonly rounds: number
}

const RATIO_MAX = 1.5
const TIMES_SPINNING_MIN = 20
const IDLE_CPU_PERCENT_MAX = 0.5
const LOOP_DELAY_P99_MS_MAX = 5
/** Of 1,000 that were asked for; a turn that does work takes a millisecond by itself. */
const TIMERS_PER_SECOND_MIN = 200
const ECHOES_PER_SECOND_MIN = 100

/** Whether every promise is kept; without a C compiler, all but the one about the reference. */
export function isBusWakeGood(result: BusWake): boolean {
  return (
    (result.ratio === null || result.ratio <= RATIO_MAX) &&
    result.rivals.every((rival) => rival.p50Us > result.p50Us && rival.timesOursSpinning >= TIMES_SPINNING_MIN) &&
    result.idleCpuPercent < IDLE_CPU_PERCENT_MAX &&
    result.loopDelayP99Ms < LOOP_DELAY_P99_MS_MAX &&
    result.draining.timers >= TIMERS_PER_SECOND_MIN &&
    result.draining.echoes >= ECHOES_PER_SECOND_MIN
  )
}

/** A report for people. */
export function describeBusWake(result: BusWake): string {
  const { reference, oneCore, draining } = result
  const row = (name: string, p50Us: number, p99Us: number, small: number, large: number) =>
    `${name.padEnd(24)}${us(p50Us)}${us(p99Us)}${count(small)}${count(large)}`
  const flood = (bytes: number, batch: number) =>
    result.throughput.find((shape) => shape.bytes === bytes && shape.batch === batch)?.messagesPerSecond ?? Number.NaN
  return [
    'a message of 32 bytes and its answer, both ends asleep   p50       p99      32 B/s  1 KiB/s',
    row('millrace', result.p50Us, result.p99Us, flood(32, 64), flood(1024, 64)),
    ...result.rivals.map((rival) => row(rival.name, rival.p50Us, rival.p99Us, rival.messagesPerSecond32, rival.messagesPerSecond1024)),
    reference === null
      ? `no C twin to compare with: ${result.referenceMissing}`
      : `C twin that parks the same way: p50 ${us(reference.p50Us).trim()}, ratio ${result.ratio}; on one core ${us(oneCore.referenceP50Us ?? 0).trim()} and ours ${us(oneCore.p50Us).trim()}, ratio ${oneCore.ratio}`,
    `spinning: p50 ${result.spinP50Us} us; ${Math.min(...result.rivals.map((rival) => rival.timesOursSpinning))} times faster than the fastest rival`,
    `asleep on ${result.idleChannels} channels: ${result.idleCpuPercent} % of a core`,
    `draining ${count(draining.frames).trim()} frames/s: loop delay p99 ${result.loopDelayP99Ms} ms, max ${result.loopDelayMaxMs} ms; ${draining.timers} timers/s, ${draining.echoes} socket echoes/s`,
  ].join('\n')
}

function us(value: number): string {
  return `${value.toFixed(1)} us`.padStart(10)
}

function count(value: number): string {
  return (value >= 1e6 ? `${(value / 1e6).toFixed(1)} M` : `${Math.round(value / 1e3)} k`).padStart(9)
}
