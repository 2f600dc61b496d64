import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { createInMemoryJournal } from '#journal/in-memory/index.js'
import type { AppendBatch, EventType, Journal } from '#journal/index.js'
import { f64, fieldSchemas } from '#schema/index.js'
import { AppendBatches, SENSOR_EVENT } from '../../bench/harness/append-batches.js'
import { DecodeSpeeds } from '../../bench/harness/decode-speed.js'
import { ReadEnd, type ReadOrder } from '../../bench/harness/read-end.js'
import { checkSensorLog } from '../../bench/harness/sensor-log.js'
import { sealedSize } from '../../bench/harness/size-journal.js'
import { Intake, type SizeData, type SizeRow } from '../../bench/harness/size-rows.js'

describe('the log of sensors that the benchmarks of ingest and of appending read back', () => {
  /** Three rounds of ten sensors; `spoil` may touch the second of them before it is appended. */
  async function logOf(spoil: (batch: AppendBatch) => void): Promise<Journal> {
    const journal = createInMemoryJournal()
    const [type] = (await journal.register([SENSOR_EVENT])) as [EventType]
    const batches = new AppendBatches({ type, entities: 10, shardCount: journal.shardCount, perBatch: 10, slots: 3 })
    await journal.append(batches.next())
    const second = batches.next()
    spoil(second)
    await journal.append(second)
    await journal.append(batches.next())
    return journal
  }

  /** The last byte of the batch's fifth event. */
  function lastByte({ memories, offsets, lengths }: AppendBatch): { readonly bytes: Uint8Array; readonly index: number } {
    return { bytes: memories[0]?.bytes as Uint8Array, index: (offsets[4] as number) + (lengths[4] as number) - 1 }
  }

  test('is counted when each row is what its sensor reported', async () => {
    expect(await checkSensorLog(await logOf(() => undefined))).toBe(30)
  })

  test('is refused for one bit of one value', async () => {
    const journal = await logOf((batch) => {
      const { bytes, index } = lastByte(batch)
      bytes[index] = (bytes[index] as number) ^ 1
    })

    await expect(checkSensorLog(journal)).rejects.toMatchObject({ code: 'ERR_BENCH_FAILED', values: { sensor: 4, version: 2 } })
  })

  test('counts a row less where one was not stored', async () => {
    const journal = await logOf((batch) => Object.assign(batch, { count: 9 }))

    // The tenth sensor's third report conflicts then, too.
    expect(await checkSensorLog(journal)).toBe(28)
  })
})

describe('the log that the benchmark of reading reads', () => {
  const EVENTS = 2000
  const CHANGED = 1500
  const directories: string[] = []
  const orders: readonly ReadOrder[] = [
    { kind: 'newest', times: 20, events: EVENTS },
    { kind: 'column', events: EVENTS },
    { kind: 'replay', events: EVENTS },
  ]
  let right: ReadEnd
  let wrong: ReadEnd

  async function written(changed: { readonly changedEvent?: number }): Promise<ReadEnd> {
    const directory = mkdtempSync(join(tmpdir(), 'millrace-read-back-'))
    directories.push(directory)
    const end = new ReadEnd({ directory, entities: 20, ...changed })
    await end.carryOut({ kind: 'write', from: 0, to: EVENTS })
    await end.carryOut({ kind: 'finish' })
    return end
  }

  beforeAll(async () => {
    right = await written({})
    wrong = await written({ changedEvent: CHANGED })
  })

  afterAll(async () => {
    for (const end of [right, wrong]) await end.carryOut({ kind: 'finish' })
    for (const directory of directories) rmSync(directory, { recursive: true, force: true })
  })

  test.each(orders)('is found to be as it was written by $kind, and not where one value is another', async (order) => {
    expect((await right.carryOut(order)).count).toBeGreaterThan(0)
    await expect(wrong.carryOut(order)).rejects.toThrow()
  })
})

describe('the rows whose size is measured', () => {
  const type = { entity: 'pump', event: 'Sampled', fields: fieldSchemas({ flow: f64() }) }
  const intake = new Intake('read-back')
  for (let index = 0; index < 50; index++) intake.take(`pump/${index % 3}`, type, 1e15 + index * 1e6, 'csv', { flow: index % 7 })
  const data: SizeData = { name: 'read-back', types: [type], rows: intake.rows, samples: 50 }

  function spoilt(change: Partial<SizeRow>): SizeData {
    return { ...data, rows: data.rows.with(21, { ...(data.rows[21] as SizeRow), ...change }) }
  }

  test('come back bit for bit, and are refused with the sign of a zero changed, a time, or one missing', async () => {
    expect(data.rows[21]?.data).toEqual({ flow: 0 })
    expect((await sealedSize(data, new DecodeSpeeds())).bytes).toBeGreaterThan(0)
    await expect(sealedSize(data, new DecodeSpeeds(), spoilt({ data: { flow: -0 } }))).rejects.toThrow('a field comes back bit for bit')
    await expect(sealedSize(data, new DecodeSpeeds(), spoilt({ at: 1e15 }))).rejects.toThrow('a row comes back with its times')
    await expect(sealedSize(data, new DecodeSpeeds(), { ...data, rows: data.rows.slice(0, -1) })).rejects.toThrow('every row comes back')
  })
})
