import { messageOf } from '#base/errors.js'
import type { EntityId } from '#base/ids.js'
import { pack } from '#base/pack.js'
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

type Snapshots = Pick<Journal, 'snapshot' | 'snapshots'>

const HEADS_PER_MESSAGE = 4096
const utf8 = new TextEncoder()

/**
 * One answer to a load: heads and snapshots in bulk, then one scan of the blocks above the lowest snapshot, written to the slot's bulk
 * channel as far as it has room. The room is the credit: a slow worker slows the scan, and nothing piles up in between.
 */
export class LoadJob {
  readonly request: LoadRequest
  readonly #messages: AsyncGenerator<Message>
  #message: Message | undefined
  #sentBytes = 0
  #isFetching = false
  #isDone = false

  constructor(journal: Journal, request: LoadRequest) {
    this.request = request
    this.#messages = messagesOf(journal, request)
  }

  get isDone(): boolean {
    return this.#isDone
  }

  /** Whether `pump` would find something to do. */
  canPump(bulk: Producer): boolean {
    if (this.#isDone || this.#isFetching) return false
    return this.#message === undefined || bulk.hasRoom(this.#pieceBytes(bulk, this.#message))
  }

  /** Writes what fits, or begins to read what comes next; returns how many steps that was. `wake` is called when more can be written later. */
  pump(bulk: Producer, wake: () => void): number {
    if (!this.canPump(bulk)) return 0
    if (this.#message === undefined) {
      this.#fetch(wake)
      return 1
    }
    let pieces = 0
    while (this.#message !== undefined && this.#tryPiece(bulk, this.#message)) pieces++
    bulk.publish()
    if (!this.#isDone && this.#message === undefined) this.#fetch(wake)
    return pieces
  }

  /** Whoever asked is gone. What was sent of the message under way is told from the next one by its header. */
  cancel(): void {
    this.#isDone = true
    this.#messages.return(undefined).catch(() => undefined)
  }

  #pieceBytes(bulk: Producer, message: Message): number {
    return Math.min(PIECE_HEADER_BYTES + message.bytes.length - this.#sentBytes, bulk.frameBytesMax)
  }

  #tryPiece(bulk: Producer, message: Message): boolean {
    const frameBytes = this.#pieceBytes(bulk, message)
    const offset = bulk.tryClaim(frameBytes, PIECE_FRAME)
    if (offset < 0) return false
    const end = this.#sentBytes + frameBytes - PIECE_HEADER_BYTES
    bulk.view.setUint32(offset, this.request.load, true)
    bulk.view.setUint32(offset + 4, this.request.term, true)
    bulk.view.setUint32(offset + 8, message.kind, true)
    bulk.view.setUint32(offset + 12, message.bytes.length, true)
    bulk.view.setUint32(offset + 16, this.#sentBytes, true)
    bulk.bytes.set(message.bytes.subarray(this.#sentBytes, end), offset + PIECE_HEADER_BYTES)
    bulk.commit()
    this.#sentBytes = end
    if (end < message.bytes.length) return true
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
  const snapshots = request.isWhole ? basesOf(journal) : journal
  if (request.entity !== undefined) yield* entityMessages(journal, snapshots, request.entity as EntityId)
  else yield* shardMessages(journal, snapshots, request.shards)
}

/** What cannot be had from the log any more. */
function basesOf(journal: Journal): Snapshots {
  return {
    snapshot: (entity) => journal.base(entity),
    *snapshots(shard) {
      for (const { entity } of journal.heads(shard)) {
        const base = journal.base(entity)
        if (base !== undefined) yield base
      }
    },
  }
}

async function* entityMessages(journal: Journal, snapshots: Snapshots, entity: EntityId): AsyncGenerator<Message> {
  yield beginMessage(undefined)
  const head = journal.head(entity)
  if (head === undefined) return
  yield headsMessage(head.shard, [[head.entity, head.number, head.version, head.term, head.appendNumber]])
  const snapshot = snapshots.snapshot(entity)
  if (snapshot !== undefined) yield snapshotMessage(snapshot)
  const from = firstRowNeeded(snapshot, head.version)
  if (from < journal.endPosition) yield* blockMessages(journal.blocks({ from, entity }))
}

async function* shardMessages(journal: Journal, snapshots: Snapshots, shards: readonly number[]): AsyncGenerator<Message> {
  yield beginMessage(journal.eventTypes)
  let from = Number.POSITIVE_INFINITY
  for (const shard of shards) {
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
    for (const snapshot of snapshots.snapshots(shard)) {
      const headVersion = versions.get(snapshot.entity)
      if (headVersion === undefined) continue
      versions.delete(snapshot.entity)
      yield snapshotMessage(snapshot)
      from = Math.min(from, firstRowNeeded(snapshot, headVersion))
    }
    if (versions.size > 0) from = 0
  }
  if (from < journal.endPosition) yield* blockMessages(journal.blocks({ from, shards: new Set(shards) }))
}

/** Position of the first row that the snapshot does not cover; infinity when it covers all. */
function firstRowNeeded(snapshot: Snapshot | undefined, headVersion: number): number {
  if (snapshot === undefined) return 0
  return snapshot.version < headVersion ? snapshot.position : Number.POSITIVE_INFINITY
}

async function* blockMessages(blocks: AsyncIterable<Uint8Array>): AsyncGenerator<Message> {
  for await (const bytes of blocks) yield { kind: LOAD_BLOCK, bytes }
}

function beginMessage(eventTypes: LoadBegin['eventTypes']): Message {
  const begin: LoadBegin = { eventTypes }
  return { kind: LOAD_BEGIN, bytes: pack(begin) }
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
