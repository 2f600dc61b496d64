import { mkdtempSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { open } from 'lmdb'
import { assert } from '#base/assert.js'
import { shardOfId } from '#base/ids.js'
import {
  type AppendHeader,
  appendHeaderBytes,
  OUTCOME_REPLY,
  ROW_HEADER_BYTES,
  writeAppendHeader,
  writeRowHeader,
} from '#journal/append-frame.js'
import type { EventType, Journal } from '#journal/journal.js'
import { openLmdbJournal } from '#journal/lmdb/index.js'
import { readRows } from '#journal/read-rows.js'
import { type Codec, createCodec, encodePayload } from '#schema/index.js'
import { frameBatch } from '#journal/frame-batch.js'
import type { DecodeSpeeds } from './decode-speed.js'
import { type SizeData, type SizeRow, TERM } from './size-rows.js'

/** What a data set takes in a log of its own. */
export interface SealedSize {
  /** Sealed files and the entries of the manifest. */
  readonly bytes: number
  readonly files: number
  readonly manifestBytes: number
  /** Before: blocks as they were appended. */
  readonly appendedBytes: number
  /** CPU time of this program per row, microseconds. */
  readonly sealMicrosPerRow: number
}

const BATCH_ROWS = 4096
/** Of keys of the catalog: see docs/format.md. */
const KEY_KIND_MANIFEST = 6
const NOTHING = new Uint8Array(0)

/** Appends the rows to a new log, seals it, opens it again, and checks that every row comes back bit for bit and in order. Gives its chunks to `speeds`. Sabotage: `stored` is appended instead. */
export async function sealedSize(data: SizeData, speeds: DecodeSpeeds, stored = data): Promise<SealedSize> {
  const directory = mkdtempSync(join(tmpdir(), 'millrace-journal-size-'))
  try {
    const journal = await openLmdbJournal({ directory, reserveBytes: 0 })
    await append(journal, stored)
    const appendedBytes = journal.directory().reduce((sum, { bytes }) => sum + bytes, 0)
    const before = process.cpuUsage()
    await journal.seal()
    const { user, system } = process.cpuUsage(before)
    const files = journal.sealedSegments()
    await journal.close()

    const again = await openLmdbJournal({ directory, isReadOnly: true })
    await check(again, data)
    await speeds.collect(again)
    await again.close()
    const manifestBytes = await bytesOfManifest(join(directory, 'catalog'))
    const fileBytes = files.reduce((sum, { name }) => sum + statSync(join(directory, 'log', name)).size, 0)
    return {
      bytes: fileBytes + manifestBytes,
      files: files.length,
      manifestBytes,
      appendedBytes,
      sealMicrosPerRow: (user + system) / data.rows.length,
    }
  } finally {
    rmSync(directory, { recursive: true, force: true })
  }
}

async function append(journal: Journal, data: SizeData): Promise<void> {
  const types = await journal.register(data.types)
  const frames = new Frames(journal.shardCount, data, types)
  for (let start = 0; start < data.rows.length; start += BATCH_ROWS) {
    const some = data.rows.slice(start, start + BATCH_ROWS)
    const { rowCount } = await journal.append(frameBatch(some.map((row) => frames.frame(row))))
    assert(rowCount === some.length, 'every row of a batch is stored')
  }
}

/** Append frames, as the worker of a plant would write them. */
class Frames {
  readonly #shardCount: number
  readonly #types = new Map<SizeRow['type'], { readonly number: number; readonly codec: Codec }>()
  /** By entity: the append number of its newest row. */
  readonly #newest = new Map<string, number>()

  constructor(shardCount: number, data: SizeData, types: readonly EventType[]) {
    this.#shardCount = shardCount
    for (const [index, type] of data.types.entries()) {
      const { number, fields } = types[index] as EventType
      this.#types.set(type, { number, codec: createCodec(fields) })
    }
  }

  frame(row: SizeRow): Uint8Array {
    const { number, codec } = this.#types.get(row.type) as { number: number; codec: Codec }
    const payload = encodePayload(codec, row.data)
    const base = this.#newest.get(row.entity)
    this.#newest.set(row.entity, row.appendNumber)
    const header: AppendHeader = {
      number: row.appendNumber,
      term: TERM,
      expectedVersion: row.version - 1,
      baseTerm: base === undefined ? 0 : TERM,
      baseNumber: base ?? 0,
      shard: shardOfId(row.entity, this.#shardCount),
      rowCount: 1,
      at: row.at,
      accepted: row.accepted,
      sequence: row.sequence,
      entity: Buffer.from(row.entity),
      source: Buffer.from(row.source),
      correlation: NOTHING,
      causation: NOTHING,
      outcome: NOTHING,
      outcomeKind: OUTCOME_REPLY,
      flags: 0,
    }
    const bytes = new Uint8Array(appendHeaderBytes(header) + ROW_HEADER_BYTES + payload.length)
    const view = new DataView(bytes.buffer)
    bytes.set(payload, writeRowHeader(number, payload.length, view, writeAppendHeader(header, bytes, view, 0)))
    return bytes
  }
}

/** Rows of a batch are stored by (shard, entity), so versions and append numbers say which is which. */
async function check(journal: Journal, data: SizeData): Promise<void> {
  const byNumber = new Map(data.rows.map((row) => [row.appendNumber, row]))
  let count = 0
  for await (const row of readRows(journal, { from: 0 })) {
    const wanted = byNumber.get(row.appendNumber)
    assert(wanted !== undefined && row.position === count, 'rows come back in order of position, and no others')
    byNumber.delete(row.appendNumber)
    count++
    const { entity, type, version, at, accepted, source, sequence } = wanted
    assert(
      row.entity === entity && row.version === version && row.event === type.event,
      'a row comes back with its entity, version and event',
    )
    assert(row.at === at && row.accepted === accepted && !row.isLate, 'a row comes back with its times')
    assert(row.source === source && row.sequence === sequence, 'a row comes back with its source')
    assert(row.term === TERM && row.outcomeKind === OUTCOME_REPLY && row.outcome.length === 0, 'a row comes back with its outcome')
    assert(row.correlation === '' && row.causation === '', 'a row comes back with what it was caused by')
    const names = Object.keys(row.data)
    assert(names.length === Object.keys(wanted.data).length, 'a row comes back with its fields')
    for (const name of names) assert(Object.is(row.data[name], wanted.data[name]), 'a field comes back bit for bit')
  }
  assert(byNumber.size === 0, 'every row comes back')
}

async function bytesOfManifest(path: string): Promise<number> {
  const catalog = open<Buffer, Buffer>({ path, readOnly: true, encoding: 'binary', keyEncoding: 'binary' })
  try {
    let bytes = 0
    for (const { key, value } of catalog.getRange()) if (key[0] === KEY_KIND_MANIFEST) bytes += key.length + value.length
    return bytes
  } finally {
    await catalog.close()
  }
}
