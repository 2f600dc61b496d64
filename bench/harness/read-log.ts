import { assert } from '#base/assert.js'
import { entityId, shardOfId } from '#base/ids.js'
import { defineEntity } from '#entity/index.js'
import { APPEND_HEADER_BYTES, OUTCOME_NONE, ROW_HEADER_BYTES, writeAppendHeader, writeRowHeader } from '#journal/append-frame.js'
import type { AppendBatch, Journal } from '#journal/index.js'
import { createCodec, f64, fieldSchemas, i32, label } from '#schema/index.js'

/** What the log of a reading benchmark tells of: four columns, one event per row. */
export const Gauge = defineEntity({
  name: 'gauge',
  events: { Sampled: { temperature: f64('°C'), force: f64('kN'), state: label(), cycle: i32() } },
  commands: {},
  initial: () => ({ temperature: Number.NaN, force: Number.NaN, state: '', cycle: -1, sum: 0 }),
  decide: {},
  apply: {
    Sampled(state, event) {
      state.temperature = event.temperature
      state.force = event.force
      state.state = event.state
      state.cycle = event.cycle
      state.sum += event.temperature
    },
  },
})

const STATES = ['RUNNING', 'IDLE', 'FAULT', 'SETUP']
const BATCH = 4096
const FRAME_BYTES_MAX = 256
const START_MICROS = 1_700_000_000_000_000
const STEP_MICROS = 100

/** Temperature of event `index`: eighths, so that sums of them are exact however they are added. */
export function temperatureOf(index: number): number {
  return (480 + Math.round(160 * Math.sin(index / 997)) + ((index * 7) % 5)) / 8
}

/** Events go to entities in turns. */
export function gaugeId(index: number, entities: number): ReturnType<typeof entityId> {
  return entityId('gauge', `gauge-${(index % entities) + 1}`)
}

export function atOf(index: number): number {
  return START_MICROS + index * STEP_MICROS
}

/** Appends events `from` up to and without `to` in batches of 4,096, each an append of its own; `changedEvent` as another one. */
export async function writeEvents(
  journal: Journal,
  range: { readonly from: number; readonly to: number; readonly entities: number; readonly changedEvent?: number },
): Promise<void> {
  const { entities, to } = range
  const [type] = await journal.register([{ entity: 'gauge', event: 'Sampled', fields: fieldSchemas(Gauge.events.Sampled) }])
  assert(type !== undefined, 'a declared event gets a number')
  const codec = createCodec(type.fields)
  const utf8 = new TextEncoder()
  const names = Array.from({ length: entities }, (_, index) => utf8.encode(gaugeId(index, entities)))
  const shards = names.map((_, index) => shardOfId(gaugeId(index, entities), journal.shardCount))
  const source = utf8.encode('line-3')
  const nothing = new Uint8Array(0)
  const bytes = new Uint8Array(BATCH * FRAME_BYTES_MAX)
  const view = new DataView(bytes.buffer)
  const offsets = new Uint32Array(BATCH)
  const lengths = new Uint32Array(BATCH)
  const [memory, slots] = [new Uint8Array(BATCH), new Uint8Array(BATCH)]
  for (let index = range.from; index < to; ) {
    let [count, end] = [0, 0]
    for (; count < BATCH && index < to; count++, index++) {
      const own = index % entities
      const turn = Math.floor(index / entities)
      const start = end
      const at = atOf(index)
      const header = {
        number: index + 1,
        term: 1,
        expectedVersion: turn,
        baseTerm: turn === 0 ? 0 : 1,
        baseNumber: turn === 0 ? 0 : index + 1 - entities,
        shard: shards[own] as number,
        rowCount: 1,
        at,
        accepted: at,
        sequence: index + 1,
        entity: names[own] as Uint8Array,
        source,
        correlation: nothing,
        causation: nothing,
        outcome: nothing,
        outcomeKind: OUTCOME_NONE,
        flags: 0,
      } as const
      const data = {
        temperature: temperatureOf(index === range.changedEvent ? index + 1 : index),
        force: Math.round(Math.cos(index / 313) * 1e4) / 100,
        state: STATES[(turn >> 4) & 3],
        cycle: turn,
      }
      const payload = codec.encodedBytes(data)
      assert(
        APPEND_HEADER_BYTES + header.entity.length + source.length + ROW_HEADER_BYTES + payload <= FRAME_BYTES_MAX,
        'a frame fits its place',
      )
      end = writeAppendHeader(header, bytes, view, end)
      end = writeRowHeader(type.number, payload, view, end)
      end = codec.encode(data, bytes, view, end)
      offsets[count] = start
      lengths[count] = end - start
    }
    const batch: AppendBatch = { count, memories: [{ bytes, view }], memory, offsets, lengths, slots }
    const { rowCount } = await journal.append(batch)
    assert(rowCount === count, 'every event of the log to be read was stored')
  }
}
