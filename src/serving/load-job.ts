import { pack } from '#base/pack.js'
import type { EntityId } from '#base/ids.js'
import { messageOf } from '#base/errors.js'
import type { Producer } from '#bus/index.js'
import type { Journal, Snapshot } from '#journal/journal.js'
import {
  LOAD_BEGIN,
  LOAD_BLOCK,
  LOAD_END,
  LOAD_FAILED,
  LOAD_HEADS,
  LOAD_SNAPSHOT,
  type LoadBegin,
  type LoadHeads,
  type LoadRequest,
  PIECE_FRAME,
  PIECE_HEADER_BYTES,
  SNAPSHOT_HEADER_BYTES,
} from './serving-frames.js'

interface Message {
  readonly kind: number
  readonly bytes: Uint8Array
}

const HEADS_PER_MESSAGE = 4096
const utf8 = new TextEncoder()

/**
 * One answer to a load: heads and snapshots in bulk, then one scan of the blocks above the lowest snapshot, written to the slot's bulk
 * channel as far as it has room. The room is the credit: a slow worker slows the scan, and nothing piles up in between.
 */
export class LoadJob {
  readonly load: number
  readonly #messages: AsyncGenerator<Message>
  #message: Message | undefined
  #sentBytes = 0
  #isFetching = false
  #isDone = false

  constructor(journal: Journal, request: LoadRequest) {
    this.load = request.load
    this.#messages = messagesOf(journal, request)
  }

  get isDone(): boolean {
    return this.#isDone
  }

  get canPump(): boolean {
    return !this.#isDone && !this.#isFetching
  }

  /** Writes what fits; returns how many pieces were written. `wake` is called when more can be written later. */
  pump(bulk: Producer, wake: () => void): number {
    let pieces = 0
    while (!this.#isDone) {
      if (this.#message === undefined) {
        if (!this.#isFetching) this.#fetch(wake)
        break
      }
      if (!this.#tryPiece(bulk, this.#message)) break
      pieces++
    }
    if (pieces > 0) bulk.publish()
    return pieces
  }

  #tryPiece(bulk: Producer, message: Message): boolean {
    const pieceBytes = Math.min(message.bytes.length - this.#sentBytes, bulk.frameBytesMax - PIECE_HEADER_BYTES)
    const offset = bulk.tryClaim(PIECE_HEADER_BYTES + pieceBytes, PIECE_FRAME)
    if (offset < 0) return false
    bulk.view.setUint32(offset, this.load, true)
    bulk.view.setUint32(offset + 4, message.kind, true)
    bulk.view.setUint32(offset + 8, message.bytes.length, true)
    bulk.view.setUint32(offset + 12, this.#sentBytes, true)
    bulk.bytes.set(message.bytes.subarray(this.#sentBytes, this.#sentBytes + pieceBytes), offset + PIECE_HEADER_BYTES)
    bulk.commit()
    this.#sentBytes += pieceBytes
    if (this.#sentBytes < message.bytes.length) return true
    this.#isDone = message.kind === LOAD_END || message.kind === LOAD_FAILED
    this.#message = undefined
    this.#sentBytes = 0
    return true
  }

  #fetch(wake: () => void): void {
    this.#isFetching = true
    const arrived = (message: Message) => {
      this.#message = message
      this.#isFetching = false
      wake()
    }
    this.#messages.next().then(
      (next) => arrived(next.done === true ? { kind: LOAD_END, bytes: new Uint8Array(0) } : next.value),
      (error: unknown) => arrived({ kind: LOAD_FAILED, bytes: utf8.encode(messageOf(error)) }),
    )
  }
}

async function* messagesOf(journal: Journal, request: LoadRequest): AsyncGenerator<Message> {
  const begin: LoadBegin = { eventTypes: journal.eventTypes, endPosition: journal.endPosition }
  yield { kind: LOAD_BEGIN, bytes: pack(begin) }
  let from = Number.POSITIVE_INFINITY
  const lowest = (snapshot: Snapshot | undefined, headVersion: number) => {
    if (snapshot === undefined) from = 0
    else if (snapshot.version < headVersion) from = Math.min(from, snapshot.position)
  }
  if (request.entity !== undefined) {
    const entity = request.entity as EntityId
    const head = journal.head(entity)
    if (head === undefined) return
    yield headsMessage(head.shard, [[head.entity, head.number, head.version, head.term, head.appendNumber]])
    const snapshot = journal.snapshot(entity)
    if (snapshot !== undefined) yield snapshotMessage(snapshot)
    lowest(snapshot, head.version)
    if (from < begin.endPosition) yield* blockMessages(journal.blocks({ from, entity }))
    return
  }
  for (const shard of request.shards) {
    const versions = new Map<string, number>()
    let heads: LoadHeads['heads'][number][] = []
    for (const head of journal.heads(shard)) {
      versions.set(head.entity, head.version)
      heads.push([head.entity, head.number, head.version, head.term, head.appendNumber])
      if (heads.length === HEADS_PER_MESSAGE) {
        yield headsMessage(shard, heads)
        heads = []
      }
    }
    if (heads.length > 0) yield headsMessage(shard, heads)
    for (const snapshot of journal.snapshots(shard)) {
      const headVersion = versions.get(snapshot.entity)
      if (headVersion === undefined) continue
      versions.delete(snapshot.entity)
      yield snapshotMessage(snapshot)
      lowest(snapshot, headVersion)
    }
    if (versions.size > 0) from = 0
  }
  if (from < begin.endPosition) yield* blockMessages(journal.blocks({ from, shards: new Set(request.shards) }))
}

async function* blockMessages(blocks: AsyncIterable<Uint8Array>): AsyncGenerator<Message> {
  for await (const bytes of blocks) yield { kind: LOAD_BLOCK, bytes }
}

function headsMessage(shard: number, heads: LoadHeads['heads']): Message {
  const message: LoadHeads = { shard, heads }
  return { kind: LOAD_HEADS, bytes: pack(message) }
}

function snapshotMessage(snapshot: Snapshot): Message {
  const entity = utf8.encode(snapshot.entity)
  const bytes = new Uint8Array(SNAPSHOT_HEADER_BYTES + entity.length + snapshot.bytes.length)
  const view = new DataView(bytes.buffer)
  view.setUint32(0, snapshot.version, true)
  view.setUint32(4, snapshot.term, true)
  view.setUint32(8, snapshot.appendNumber, true)
  view.setUint32(12, entity.length, true)
  bytes.set(entity, SNAPSHOT_HEADER_BYTES)
  bytes.set(snapshot.bytes, SNAPSHOT_HEADER_BYTES + entity.length)
  return { kind: LOAD_SNAPSHOT, bytes }
}
