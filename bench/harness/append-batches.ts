import { assert } from '#base/assert.js'
import { shardOfId } from '#base/ids.js'
import {
  type AppendBatch,
  type AppendHeader,
  appendHeaderBytes,
  type EventType,
  type EventTypeDeclaration,
  OUTCOME_REPLY,
  ROW_HEADER_BYTES,
} from '#journal/index.js'
import { writeAppendHeader, writeRowHeader } from '#journal/append-frame.js'
import { type Codec, createCodec, fieldSchemas } from '#schema/index.js'
import { emptyReport, sensorId, sensorName, sensorReport } from './sensor-data.js'
import { Sensor } from './sensor-plant.js'

/** The event of a sensor's report, as the plant declares it. */
export const SENSOR_EVENT: EventTypeDeclaration = { entity: 'sensor', event: 'Sampled', fields: fieldSchemas(Sensor.events.Sampled) }

interface Sender {
  readonly id: Uint8Array
  readonly source: Uint8Array
  readonly shard: number
}

/** A second of wall time between two rounds of all sensors, in microseconds. */
const ROUND_MICROS = 1_000_000
const FIRST_AT = Date.UTC(2026, 0, 1) * 1000
const TERM = 1
const FRAME_BYTES_MAX = 256

/**
 * Append frames of one writer slot as a worker would send them: one event per append, sensor after sensor in rounds. Each batch is made anew
 * in memory that is used again, so a batch must be durable before the one `slots` further on is asked for.
 */
export class AppendBatches {
  readonly #codec: Codec = createCodec(SENSOR_EVENT.fields)
  readonly #type: number
  readonly #entities: readonly Sender[]
  readonly #lastNumber: Uint32Array
  readonly #perBatch: number
  readonly #memories: { bytes: Uint8Array; view: DataView }[]
  readonly #data = emptyReport()
  #sent = 0
  #batches = 0

  constructor(options: {
    readonly type: EventType
    readonly entities: number
    readonly shardCount: number
    readonly perBatch: number
    readonly slots: number
  }) {
    this.#type = options.type.number
    this.#perBatch = options.perBatch
    this.#lastNumber = new Uint32Array(options.entities)
    this.#entities = Array.from({ length: options.entities }, (_, sensor) => {
      const id = sensorId(sensor)
      return { id: utf8.encode(id), source: utf8.encode(sensorName(sensor)), shard: shardOfId(id, options.shardCount) }
    })
    this.#memories = Array.from({ length: options.slots }, () => {
      const bytes = new Uint8Array(options.perBatch * FRAME_BYTES_MAX)
      return { bytes, view: new DataView(bytes.buffer) }
    })
  }

  /** Events in all batches made so far. */
  get sentCount(): number {
    return this.#sent
  }

  next(): AppendBatch {
    const memory = this.#memories[this.#batches++ % this.#memories.length] as { bytes: Uint8Array; view: DataView }
    const count = this.#perBatch
    const offsets = new Int32Array(count)
    const lengths = new Int32Array(count)
    let end = 0
    for (let index = 0; index < count; index++) {
      offsets[index] = end
      end = this.#write(memory.bytes, memory.view, end)
      lengths[index] = end - (offsets[index] as number)
      // As frames lie in a ring.
      end = (end + 15) & -8
    }
    assert(end <= memory.bytes.length, 'a batch fits into its memory')
    return { count, memories: [memory], memory: new Int32Array(count), offsets, lengths, slots: new Int32Array(count) }
  }

  #write(bytes: Uint8Array, view: DataView, offset: number): number {
    const number = ++this.#sent
    const sensor = (number - 1) % this.#entities.length
    const round = Math.floor((number - 1) / this.#entities.length) + 1
    const { id, source, shard } = this.#entities[sensor] as Sender
    const data = sensorReport(sensor, round, this.#data)
    const at = FIRST_AT + round * ROUND_MICROS + sensor
    const header: AppendHeader = {
      number,
      term: TERM,
      expectedVersion: round - 1,
      baseTerm: round === 1 ? 0 : TERM,
      baseNumber: this.#lastNumber[sensor] as number,
      shard,
      rowCount: 1,
      at,
      accepted: at + 1000,
      sequence: round,
      entity: id,
      source,
      correlation: NO_BYTES,
      causation: NO_BYTES,
      outcome: NO_BYTES,
      outcomeKind: OUTCOME_REPLY,
      flags: 0,
    }
    this.#lastNumber[sensor] = number
    const payloadBytes = this.#codec.encodedBytes(data)
    assert(appendHeaderBytes(header) + ROW_HEADER_BYTES + payloadBytes <= FRAME_BYTES_MAX - 16, 'a frame is not larger than thought')
    const row = writeAppendHeader(header, bytes, view, offset)
    return this.#codec.encode(data, bytes, view, writeRowHeader(this.#type, payloadBytes, view, row))
  }
}

const utf8 = new TextEncoder()
const NO_BYTES = new Uint8Array(0)
