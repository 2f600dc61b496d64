/**
 * How many messages a second go from one Node process to another?
 *
 *   sender (core A) ══ ring ══▶ receiver (core B)
 *
 * Both spin, pinned, TypeScript at both ends, through the real channel as it is when either end may sleep, which is the default: claim, write
 * every byte of the payload, commit, and publish after every `batch` frames; read, check number and last word, and release after every
 * `batch`. The reference is reference/ring.c: the same ring in C with the same work per frame, measured in turns with ours. A run is cut into
 * segments of about a millisecond by marks in the ring; a segment counts when neither process had an involuntary context switch during it.
 * Nothing is left out of the time of a segment. Payloads up to 256 bytes are written field by field, as codecs do, longer ones copied. What is
 * allocated comes from runs of its own, as marks allocate. Needs two cores of its own for about half a minute.
 */
import { existsSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { MillraceError } from '#base/errors.js'
import { CAPACITY_BYTES_DEFAULT, channelBytes, createChannel, frameBytes } from '#bus/index.js'
import { allowedCores, Mapping } from '#shm/index.js'
import { benchMain } from './harness/bench-main.js'
import { type CProgram, compileC } from './harness/c-program.js'
import { MeasuringProcess } from './harness/measuring-process.js'
import { median } from './harness/samples.js'
import {
  THROUGHPUT_SCHEMA,
  type ThroughputEndSetup,
  type ThroughputReport,
  type ThroughputRun,
  WARM_UP_SEGMENTS,
} from './harness/throughput-end.js'
import { undisturbed } from './harness/undisturbed.js'

export interface BusThroughputOptions {
  readonly bytes: readonly number[]
  readonly batches: readonly number[]
  /** How often ours and the reference are measured in turns, row by row. */
  readonly rounds: number
  /** Per round and row. */
  readonly segments: number
  /** In one segment, payload: what some milliseconds take. */
  readonly segmentFramesMax: number
  readonly segmentBytesMax: number
  /** Per row, to see what they allocate. */
  readonly allocationFrames: number
  /** Without it the references and the ratios are null. */
  readonly withReference: boolean
}

const ROWS = { bytes: [32, 256, 1024, 16_384], batches: [1, 16, 64] }

export const BUS_THROUGHPUT_FULL: BusThroughputOptions = {
  ...ROWS,
  rounds: 9,
  segments: 80,
  segmentFramesMax: 32_768,
  segmentBytesMax: 16 * 2 ** 20,
  allocationFrames: 1_048_576,
  withReference: true,
}

export const BUS_THROUGHPUT_SMOKE: BusThroughputOptions = {
  ...ROWS,
  rounds: 1,
  segments: 10,
  segmentFramesMax: 16_384,
  segmentBytesMax: 8 * 2 ** 20,
  allocationFrames: 131_072,
  withReference: true,
}

export interface ThroughputRow {
  readonly bytes: number
  readonly batch: number
  readonly messagesPerSecond: number
  readonly referenceMessagesPerSecond: number | null
  /** Ours by the reference's, of medians over the rounds. */
  readonly ratio: number | null
}

export interface BusThroughput {
  readonly bench: 'bus-throughput'
  readonly rows: readonly ThroughputRow[]
  /** On the heaps of both processes together per million messages, in the row where it is most; the median of some runs of each row. */
  readonly allocatedBytesPerMillion: number
  readonly reference: 'c-ring' | null
  /** Why there is no reference. */
  readonly referenceMissing?: string
  readonly rounds: number
  /** The share of segments, ours and the reference's, that an involuntary context switch spoilt. */
  readonly discarded: number
}

/** In the ring: two batches of the largest frames and more, as a batch is released only when all of it was read. */
const RING_BATCHES_MIN = 3
const REFERENCE_MS_MAX = 60_000
const ALLOCATION_RUNS = 3

type End = MeasuringProcess<ThroughputEndSetup, ThroughputRun, ThroughputReport>

/** One row while it is measured: its channel with both ends. */
interface Lane {
  readonly bytes: number
  readonly capacityBytes: number
  readonly sender: End
  readonly receiver: End
}

/** What one run came to. */
interface Measured {
  readonly framesPerSecond: number
  readonly segments: number
  readonly discarded: number
}

interface RowRounds {
  readonly bytes: number
  readonly batch: number
  readonly ours: Measured[]
  readonly theirs: Measured[]
}

/**
 * Runs the measurement in processes of its own, which are gone when it resolves. Throws ERR_BENCH_CORES where this process may use one core
 * only, ERR_BENCH_DISTURBED when no segment of a run counted, ERR_BENCH_FAILED when a process ended or a frame was wrong.
 */
export async function measureBusThroughput(options: BusThroughputOptions): Promise<BusThroughput> {
  const [senderCore, receiverCore] = allowedCores()
  if (senderCore === undefined || receiverCore === undefined) {
    throw new MillraceError('ERR_BENCH_CORES', {
      fact: 'a channel between spinning processes needs two cores',
      action: 'operator',
      values: { cores: allowedCores().length },
      next: 'run it where this process may use two',
    })
  }
  const reference = options.withReference ? await compileC('ring.c') : 'it was not asked for'
  const folder = mkdtempSync(join(existsSync('/dev/shm') ? '/dev/shm' : tmpdir(), `millrace-throughput-${process.pid}-`))
  const lanes: Lane[] = []
  try {
    for (const bytes of options.bytes) lanes.push(openLane(folder, bytes, options, [senderCore, receiverCore]))
    const rows = lanes.flatMap(({ bytes }) => options.batches.map((batch): RowRounds => ({ bytes, batch, ours: [], theirs: [] })))
    const laneOf = (row: RowRounds) => lanes.find(({ bytes }) => bytes === row.bytes) as Lane
    for (const row of rows) await runBoth(laneOf(row), allocationRun(row, options))
    for (let round = 0; round < options.rounds; round++) {
      for (const row of rows) {
        const lane = laneOf(row)
        const run = runOf(row, options)
        row.ours.push(await countedRun('the channel', () => measureOurs(lane, run)))
        if (typeof reference === 'string') continue
        const place = [senderCore, receiverCore, lane.capacityBytes]
        row.theirs.push(await countedRun('the reference', () => measureReference(reference, place, run)))
      }
    }
    const allocated: number[] = []
    for (const row of rows) allocated.push(await measureAllocation(laneOf(row), allocationRun(row, options)))
    return summary(rows, Math.max(...allocated), typeof reference === 'string' ? reference : undefined)
  } finally {
    for (const lane of lanes) {
      lane.sender.kill()
      lane.receiver.kill()
    }
    if (typeof reference !== 'string') reference.remove()
    rmSync(folder, { recursive: true, force: true })
  }
}

/** A report for people. */
export function describeBusThroughput(result: BusThroughput): string {
  const { rows, reference, rounds, discarded, allocatedBytesPerMillion } = result
  const millions = (count: number) => (count / 1e6).toFixed(count < 1e7 ? 2 : 1)
  const table = rows.map(({ bytes, batch, messagesPerSecond, referenceMessagesPerSecond, ratio }) => {
    const ours = `${String(bytes).padStart(7)}  ${String(batch).padStart(5)}  ${millions(messagesPerSecond).padStart(10)}`
    return referenceMessagesPerSecond === null
      ? ours
      : `${ours}  ${millions(referenceMessagesPerSecond).padStart(10)}  ${ratio?.toFixed(2).padStart(5)}`
  })
  return [
    'One way between two processes, million messages a second:',
    `  bytes  batch    millrace${reference === null ? '' : '   ring in C  ratio'}`,
    ...table,
    ...(reference === null ? [`no ring in C to compare with: ${result.referenceMissing}`] : []),
    `medians over ${rounds} rounds; ${(discarded * 100).toFixed(1)} % of the segments discarded; ${allocatedBytesPerMillion} bytes allocated per million messages`,
  ].join('\n')
}

function openLane(
  folder: string,
  bytes: number,
  options: BusThroughputOptions,
  [senderCore, receiverCore]: readonly [number, number],
): Lane {
  const capacityBytes = capacityFor(bytes, Math.max(...options.batches))
  const path = join(folder, `${bytes}.ring`)
  const mapping = Mapping.create(path, channelBytes(capacityBytes))
  createChannel(mapping.buffer, { capacityBytes, schemaHash: THROUGHPUT_SCHEMA, name: `throughput.${bytes}` })
  mapping.close()
  return {
    bytes,
    capacityBytes,
    sender: new MeasuringProcess('harness/throughput-end', { role: 'producer', path, core: senderCore }),
    receiver: new MeasuringProcess('harness/throughput-end', { role: 'consumer', path, core: receiverCore }),
  }
}

function capacityFor(bytes: number, batch: number): number {
  let capacityBytes = CAPACITY_BYTES_DEFAULT
  while (capacityBytes < RING_BATCHES_MIN * batch * frameBytes(bytes)) capacityBytes *= 2
  return capacityBytes
}

function runOf({ bytes, batch }: { readonly bytes: number; readonly batch: number }, options: BusThroughputOptions): ThroughputRun {
  const frames = Math.min(options.segmentFramesMax, options.segmentBytesMax / bytes)
  return { bytes, batch, segments: options.segments, framesPerSegment: Math.ceil(frames / batch) * batch }
}

/** Long enough that its marks weigh nothing; the first one of a row warms the ends up. */
function allocationRun({ bytes, batch }: { readonly bytes: number; readonly batch: number }, options: BusThroughputOptions): ThroughputRun {
  const frames = options.allocationFrames / (1 + WARM_UP_SEGMENTS)
  return { bytes, batch, segments: 1, framesPerSegment: Math.ceil(frames / batch) * batch }
}

/** Per million messages. The median of some runs, as V8 may throw its code away during one, and interprets for a while. */
async function measureAllocation(lane: Lane, run: ThroughputRun): Promise<number> {
  const frames = run.framesPerSegment * (run.segments + WARM_UP_SEGMENTS)
  const allocated: number[] = []
  for (let attempt = 0; attempt < ALLOCATION_RUNS; attempt++) {
    const [sender, receiver] = await runBoth(lane, run)
    allocated.push(((sender.allocatedBytes + receiver.allocatedBytes) / frames) * 1e6)
  }
  return median(allocated)
}

async function measureOurs(lane: Lane, run: ThroughputRun): Promise<Measured> {
  const [, { framesPerSecond, discarded }] = await runBoth(lane, run)
  return { framesPerSecond, segments: run.segments, discarded }
}

function runBoth(lane: Lane, run: ThroughputRun): Promise<[ThroughputReport, ThroughputReport]> {
  return Promise.all([lane.sender.order(run), lane.receiver.order(run)])
}

async function measureReference(program: CProgram, place: readonly number[], run: ThroughputRun): Promise<Measured> {
  const args = [...place, run.bytes, run.batch, run.segments, run.framesPerSegment]
  return (await program.run(args, REFERENCE_MS_MAX)) as Measured
}

/** Measures again where no segment counted, and adds up what was discarded. */
async function countedRun(what: string, measure: () => Promise<Measured>): Promise<Measured> {
  const runs = await undisturbed(what, measure, ({ segments, discarded }) => discarded < segments)
  const sum = (pick: (run: Measured) => number) => runs.reduce((total, run) => total + pick(run), 0)
  const { framesPerSecond } = runs.at(-1) as Measured
  return { framesPerSecond, segments: sum((run) => run.segments), discarded: sum((run) => run.discarded) }
}

function summary(rows: readonly RowRounds[], allocated: number, referenceMissing: string | undefined): BusThroughput {
  const all = rows.flatMap(({ ours, theirs }) => [...ours, ...theirs])
  const segments = all.reduce((sum, measured) => sum + measured.segments, 0)
  const discarded = all.reduce((sum, measured) => sum + measured.discarded, 0)
  return {
    bench: 'bus-throughput',
    rows: rows.map(rowOf),
    allocatedBytesPerMillion: Math.round(allocated),
    reference: referenceMissing === undefined ? 'c-ring' : null,
    ...(referenceMissing === undefined ? {} : { referenceMissing }),
    rounds: rows[0]?.ours.length ?? 0,
    discarded: Math.round((discarded / segments) * 10_000) / 10_000,
  }
}

function rowOf({ bytes, batch, ours, theirs }: RowRounds): ThroughputRow {
  const middle = (rounds: readonly Measured[]) => Math.round(median(rounds.map(({ framesPerSecond }) => framesPerSecond)))
  const messagesPerSecond = middle(ours)
  if (theirs.length === 0) return { bytes, batch, messagesPerSecond, referenceMessagesPerSecond: null, ratio: null }
  const referenceMessagesPerSecond = middle(theirs)
  return {
    bytes,
    batch,
    messagesPerSecond,
    referenceMessagesPerSecond,
    ratio: Math.round((messagesPerSecond / referenceMessagesPerSecond) * 100) / 100,
  }
}

benchMain(import.meta.url, {
  name: 'bus-throughput',
  full: BUS_THROUGHPUT_FULL,
  smoke: BUS_THROUGHPUT_SMOKE,
  measure: measureBusThroughput,
  describe: describeBusThroughput,
})
