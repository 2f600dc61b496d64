/**
 * How long does an event of four fields take through the generated codec, and a command through its entity's decide and apply?
 *
 *   value ─check─▶ ─normalise─▶ ─measure, write─▶ bytes ─read─▶ value      one process, one core
 *
 * Events are written one behind the other into 64 KiB and read back from there, values change from event to event, and what comes back is
 * summed up and checked against what went in. Times are the median of rounds, each a loop timed as a whole, ours and the references in
 * turns. References: msgpackr with records, which the schema is known to, and JSON.
 */
import { Packr } from 'msgpackr'
import { assert } from '#base/assert.js'
import { compileEntity } from '#entity/index.js'
import { Machine } from '#plant/machine.js'
import { bool, type Codec, createCodec, f64, type Fields, fieldSchemas, i32, label } from '#schema/index.js'
import { benchMain } from './harness/bench-main.js'
import { median } from './harness/samples.js'

export interface CodecBenchOptions {
  readonly rounds: number
  readonly eventsPerRound: number
}

export const CODEC_FULL: CodecBenchOptions = { rounds: 11, eventsPerRound: 500_000 }
export const CODEC_SMOKE: CodecBenchOptions = { rounds: 3, eventsPerRound: 2_000 }

/** Nanoseconds per event. */
export interface CodecTimes {
  readonly checkNs: number
  readonly normaliseNs: number
  /** Measuring and writing. */
  readonly encodeNs: number
  readonly decodeNs: number
}

export interface CodecBench {
  readonly bench: 'codec'
  readonly numbers: CodecTimes
  readonly mixed: CodecTimes
  /** The mixed event through others. */
  readonly references: readonly { readonly name: string; readonly encodeNs: number; readonly decodeNs: number }[]
  /** A telemetry report decided (checked and copied too) and applied. */
  readonly decideAndApplyNs: number
  readonly rounds: number
  readonly eventsPerRound: number
}

interface Shape {
  readonly fields: Fields
  readonly make: (index: number) => Record<string, unknown>
  /** A number that depends on every field. */
  readonly sum: (data: Record<string, unknown>) => number
}

const NUMBERS: Shape = {
  fields: { a: f64(), b: f64(), c: f64(), d: f64() },
  make: (index) => ({ a: index, b: index * 2.5, c: -index, d: 0.5 }),
  sum: ({ a, b, c, d }) => (a as number) + (b as number) + (c as number) + (d as number),
}

const MIXED: Shape = {
  fields: { temperature: f64('°C'), count: i32(), isHot: bool(), code: label() },
  make: (index) => ({ temperature: index * 1.1, count: index, isHot: index % 3 === 0, code: index % 2 === 0 ? 'OVERHEAT' : 'STALLED' }),
  sum: ({ temperature, count, isHot, code }) =>
    (temperature as number) + (count as number) + (isHot === true ? 1 : 0) + (code as string).length,
}

const VALUES = 1024
const MEMORY_BYTES = 65_536

export function measureCodec(options: CodecBenchOptions): CodecBench {
  const rounds = Array.from({ length: options.rounds }, () => ({
    numbers: measureShape(NUMBERS, options.eventsPerRound),
    mixed: measureShape(MIXED, options.eventsPerRound),
    msgpackr: measureReference(msgpackr(), options.eventsPerRound),
    json: measureReference(json(), options.eventsPerRound),
    decideAndApplyNs: measureDecide(options.eventsPerRound),
  }))
  const middle = (pick: (round: (typeof rounds)[number]) => number): number => Math.round(median(rounds.map(pick)))
  const times = (shape: 'numbers' | 'mixed'): CodecTimes => ({
    checkNs: middle((round) => round[shape].checkNs),
    normaliseNs: middle((round) => round[shape].normaliseNs),
    encodeNs: middle((round) => round[shape].encodeNs),
    decodeNs: middle((round) => round[shape].decodeNs),
  })
  const reference = (name: 'msgpackr' | 'json') => ({
    name,
    encodeNs: middle((round) => round[name].encodeNs),
    decodeNs: middle((round) => round[name].decodeNs),
  })
  return {
    bench: 'codec',
    numbers: times('numbers'),
    mixed: times('mixed'),
    references: [reference('msgpackr'), reference('json')],
    decideAndApplyNs: middle((round) => round.decideAndApplyNs),
    ...options,
  }
}

export function describeCodec({ numbers, mixed, references, decideAndApplyNs }: CodecBench): string {
  const line = (name: string, { checkNs, normaliseNs, encodeNs, decodeNs }: CodecTimes) =>
    `${name}: check ${checkNs} ns, normalise ${normaliseNs} ns, encode ${encodeNs} ns, decode ${decodeNs} ns`
  return [
    line('four doubles', numbers),
    line('double, i32, bool, label', mixed),
    ...references.map(({ name, encodeNs, decodeNs }) => `  the same through ${name}: encode ${encodeNs} ns, decode ${decodeNs} ns`),
    `a telemetry report decided and applied: ${decideAndApplyNs} ns`,
  ].join('\n')
}

/** One per shape for the whole run, as in a worker. */
const codecs = new Map<Shape, Codec>()

function measureShape(shape: Shape, count: number): CodecTimes {
  const codec = codecs.get(shape) ?? createCodec(fieldSchemas(shape.fields))
  codecs.set(shape, codec)
  const values = Array.from({ length: VALUES }, (_, index) => shape.make(index))
  const bytes = new Uint8Array(MEMORY_BYTES)
  const view = new DataView(bytes.buffer)
  const offsets = new Int32Array(VALUES + 1)
  for (const [index, value] of values.entries()) offsets[index + 1] = codec.encode(value, bytes, view, offsets[index] as number)
  let wrong = 0
  let properties = 0
  let sum = 0
  const checkNs = perEvent(count, (at) => {
    if (codec.check(values[at]) !== undefined) wrong++
  })
  const normaliseNs = perEvent(count, (at) => {
    if (codec.normalise(values[at] as object) !== undefined) properties++
  })
  const encodeNs = perEvent(count, (at) => {
    const offset = offsets[at] as number
    const size = codec.encodedBytes(values[at] as object)
    if (codec.encode(values[at] as object, bytes, view, offset) !== offset + size) wrong++
  })
  const decodeNs = perEvent(count, (at) => {
    const offset = offsets[at] as number
    sum += shape.sum(codec.decode(bytes, view, offset, (offsets[at + 1] as number) - offset))
  })
  assert(wrong === 0 && properties === count, 'every event is right and as long as it was said to be')
  assert(sum === sumOf(count, (at) => shape.sum(values[at] as Record<string, unknown>)), 'what was read is what was written')
  return { checkNs, normaliseNs, encodeNs, decodeNs }
}

interface Reference {
  encode(value: unknown): Uint8Array | string
  decode(stored: Uint8Array | string): unknown
}

function msgpackr(): Reference {
  const packr = new Packr({ structures: [] })
  return { encode: (value) => packr.pack(value), decode: (stored) => packr.unpack(stored as Uint8Array) }
}

function json(): Reference {
  return { encode: (value) => JSON.stringify(value), decode: (stored) => JSON.parse(stored as string) }
}

function measureReference(reference: Reference, count: number): Pick<CodecTimes, 'encodeNs' | 'decodeNs'> {
  const values = Array.from({ length: VALUES }, (_, index) => MIXED.make(index))
  const stored = values.map((value) => {
    const encoded = reference.encode(value)
    return typeof encoded === 'string' ? encoded : new Uint8Array(encoded)
  })
  let bytes = 0
  let sum = 0
  const encodeNs = perEvent(count, (at) => {
    bytes += reference.encode(values[at]).length
  })
  const decodeNs = perEvent(count, (at) => {
    sum += MIXED.sum(reference.decode(stored[at] as string) as Record<string, unknown>)
  })
  assert(bytes > count, 'something was written for every event')
  assert(sum === sumOf(count, (at) => MIXED.sum(values[at] as Record<string, unknown>)), 'what was read is what was written')
  return { encodeNs, decodeNs }
}

const machine = compileEntity(Machine)

function measureDecide(count: number): number {
  const command = machine.commandIndex('reportTelemetry')
  const reports = Array.from({ length: VALUES }, (_, at) => ({
    vibration: at % 9,
    temperature: 40 + (at % 20),
    current: 10,
    spindleSpeed: 6000,
    toolWear: at / 1000,
    cycles: at,
  }))
  const envelope = { at: 1, entity: 'machine/cnc-mill-001', source: '', correlation: '' }
  const state = machine.initial() as { telemetryCount: number }
  const decideNs = perEvent(count, (at) => {
    const decision = machine.decide(state, command, reports[at] as object, envelope)
    machine.apply(state, decision.eventIndexes[0] as number, decision.events[0] as object)
  })
  assert(state.telemetryCount === count, 'every report was applied')
  return decideNs
}

function perEvent(count: number, each: (at: number) => void): number {
  const begun = performance.now()
  for (let index = 0; index < count; index++) each(index % VALUES)
  return ((performance.now() - begun) * 1e6) / count
}

function sumOf(count: number, valueOf: (at: number) => number): number {
  let sum = 0
  for (let index = 0; index < count; index++) sum += valueOf(index % VALUES)
  return sum
}

benchMain(import.meta.url, { name: 'codec', full: CODEC_FULL, smoke: CODEC_SMOKE, measure: measureCodec, describe: describeCodec })
