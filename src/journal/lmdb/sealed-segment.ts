import { rm } from 'node:fs/promises'
import type { MillraceError } from '#base/errors.js'
import type { BlockEntry } from '#journal/block-entry.js'
import type { BlockReader } from '#journal/block-reader.js'
import { isWanted } from '#journal/block-range.js'
import { rowsOf } from '#journal/block-rows.js'
import type { BlockRange, EntityHead, EventType, Row } from '#journal/journal.js'
import { unlessDamaged } from '#journal/log-damage.js'
import type { LogState } from '#journal/log-state.js'
import type { SealedEntry } from '#journal/segments/manifest.js'
import { orderedBlocks } from '#journal/segments/ordered-blocks.js'
import { openSegmentFile, type SegmentFile } from '#journal/segments/segment-file.js'
import type { LogPart, WantedRows } from './log-part.js'

/** A sealed segment of a log: opened when something of it is first read, and closed when it is dropped and nobody reads it any more. */
export class SealedSegment implements LogPart {
  readonly entry: SealedEntry
  readonly path: string
  #file: SegmentFile | undefined
  #readers = 0
  #isDropped = false

  constructor(entry: SealedEntry, path: string) {
    this.entry = entry
    this.path = path
  }

  get name(): string {
    return this.entry.segment
  }

  get firstPosition(): number {
    return this.entry.firstPosition
  }

  get endPosition(): number {
    return this.entry.endPosition
  }

  get file(): SegmentFile {
    this.#file ??= openSegmentFile(this.path, this.name)
    return this.#file
  }

  retain(): void {
    this.#readers++
  }

  release(): void {
    this.#readers--
    if (this.#isDropped && this.#readers === 0) this.close()
  }

  async *blocks(range: BlockRange, _end: number, state: LogState): AsyncGenerator<BlockReader> {
    const { file } = this
    if (range.entity === undefined) {
      for (const [id, entry] of file.footer.blocks.entries()) if (isWanted(entry, range, state)) yield file.block(id)
      return
    }
    const index = state.entities.findId(range.entity)
    const run = index < 0 ? undefined : file.find(state.entities.shardOf(index), state.entities.numberOf(index))
    if (run === undefined) return
    const last = file.blockAt(run.rank + run.rowCount - 1)
    for (let id = file.blockAt(run.rank); id <= last; id++) {
      const entry = file.footer.blocks[id]
      if (entry !== undefined && isWanted(entry, range, state)) yield file.block(id)
    }
  }

  *readableBlocks(range: BlockRange, _end: number, state: LogState, onDamaged: (damage: MillraceError) => void): Generator<BlockReader> {
    const file = unlessDamaged(() => this.file, onDamaged)
    if (file === undefined) return
    for (const [id, entry] of file.footer.blocks.entries()) {
      const reader = isWanted(entry, range, state) ? unlessDamaged(() => file.block(id), onDamaged) : undefined
      if (reader !== undefined) yield reader
    }
  }

  async lastRows({ shard, number }: EntityHead, { versionMin, versionMax, names }: WantedRows): Promise<Row[]> {
    const { file } = this
    const run = file.find(shard, number)
    if (run === undefined) return []
    const end = run.rank + run.rowCount
    const start = Math.max(run.rank, end - (versionMax - versionMin + 1))
    const rows: Row[][] = []
    const last = file.blockAt(end - 1)
    for (let id = file.blockAt(start); id <= last; id++) {
      const first = file.ranks[id] as number
      const filter = { entity: { shard, number }, versionMin, rankMin: start - first, rankMax: end - 1 - first }
      rows.push(rowsOf(file.block(id).bytes, names, filter, this.name))
    }
    return rows.flat()
  }

  async blocksOf({ shard, number }: EntityHead): Promise<ReadonlySet<number>> {
    const { file } = this
    const ids = new Set<number>()
    const run = file.find(shard, number)
    if (run === undefined) return ids
    const last = file.blockAt(run.rank + run.rowCount - 1)
    for (let id = file.blockAt(run.rank); id <= last; id++) ids.add(id)
    return ids
  }

  ordered(range: { readonly from: number; readonly to: number }, types: readonly EventType[]): AsyncIterable<Uint8Array> {
    return orderedBlocks(this.file, types, range)
  }

  entries(): readonly BlockEntry[] {
    return this.file.entries()
  }

  readBlock(id: number): Uint8Array | undefined {
    return this.file.footer.blocks[id] === undefined ? undefined : this.file.block(id).check().bytes
  }

  /** Takes the file away. Whoever reads it goes on until it lets go. */
  async drop(): Promise<void> {
    // Opened, so that a reader that has not begun yet can.
    if (this.#readers > 0) void this.file
    this.#isDropped = true
    await rm(this.path, { force: true })
    if (this.#readers === 0) this.close()
  }

  close(): void {
    this.#file?.close()
    this.#file = undefined
  }
}
