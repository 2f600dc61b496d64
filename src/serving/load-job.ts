import { isMillraceError, messageOf } from '#base/errors.js'
import type { EntityId } from '#base/ids.js'
import { pack } from '#base/pack.js'
import type { Producer } from '#bus/index.js'
import type { EntityHead, Journal, Snapshot } from '#journal/journal.js'
import { utf8Bytes, writeUtf8 } from '#schema/utf8.js'
import { type LoadSource, ReadableParts } from './load-source.js'
import {
  LOAD_BEGIN,
  LOAD_BLOCK,
  LOAD_DAMAGES,
  LOAD_END,
  LOAD_FAILED,
  LOAD_HEADS,
  LOAD_ONLY,
  LOAD_SNAPSHOTS,
  LOADED_HEAD_BYTES,
  LOADED_SNAPSHOT_BYTES,
  type LoadBegin,
  type LoadFailure,
  type LoadRequest,
  PIECE_FRAME,
  PIECE_HEADER_BYTES,
} from './serving-frames.js'

interface Message {
  readonly kind: number
  readonly bytes: Uint8Array
}

/** A message of each: there are many, and each generator that they went through would take as long as reading a small one. */
interface Blocks {
  readonly blocks: AsyncIterable<Uint8Array>
}

type Snapshots = Pick<Journal, 'snapshot' | 'snapshots'>

const HEADS_PER_MESSAGE = 4096
const SNAPSHOTS_BYTES = 64 * 1024
/**
 * Read in one go, as far as the disk does not have to be waited for. Each reading waits for the event loop, which with the small blocks of a plant under light load takes
 * longer than all that is done with them.
 */
const AHEAD_BYTES = 256 * 1024
/** A scan of fewer rows is done before the rows of some entities are found. */
const SCAN_ROWS_MIN = 100_000
const utf8 = new TextEncoder()

/**
 * One answer to a load: heads and snapshots in bulk, then one scan of the blocks above the lowest snapshot, written to the slot's bulk
 * channel as far as it has room. The room is the credit: a slow worker slows the scan, and no more than one reading lies in between.
 */
export class LoadJob {
  readonly request: LoadRequest
  readonly #source: AsyncGenerator<Message | Blocks>
  /** Under way. */
  #blocks: AsyncIterator<Uint8Array> | undefined
  /** What was read and not sent, in order. */
  #messages: Message[] = []
  /** How many of them are sent, and how much of the one behind those. */
  #sentCount = 0
  #sentBytes = 0
  #isFetching = false
  #isDone = false

  constructor(journal: Journal, request: LoadRequest) {
    this.request = request
    this.#source = messagesOf(journal, request)
  }

  get isDone(): boolean {
    return this.#isDone
  }

  /** Whether `pump` would find something to do. */
  canPump(bulk: Producer): boolean {
    if (this.#isDone) return false
    const message = this.#messages[this.#sentCount]
    return message === undefined ? !this.#isFetching : bulk.hasRoom(this.#pieceBytes(bulk, message))
  }

  /** Writes what fits, or begins to read what comes next; returns how many steps that was. `wake` is called when more can be written later. */
  pump(bulk: Producer, wake: () => void): number {
    if (!this.canPump(bulk)) return 0
    let pieces = 0
    for (let message = this.#messages[this.#sentCount]; message !== undefined; message = this.#messages[this.#sentCount]) {
      if (!this.#tryPiece(bulk, message)) break
      pieces++
    }
    if (pieces > 0) bulk.publish()
    if (this.#isDone || this.#isFetching || this.#sentCount < this.#messages.length) return pieces
    this.#messages = []
    this.#sentCount = 0
    this.#isFetching = true
    void this.#fetch(wake)
    return pieces + 1
  }

  /** Whoever asked is gone. What was sent of the message under way is told from the next one by its header. */
  cancel(): void {
    this.#isDone = true
    this.#blocks?.return?.().catch(() => undefined)
    this.#source.return(undefined).catch(() => undefined)
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
    this.#sentCount++
    this.#sentBytes = 0
    return true
  }

  /** Never rejects: what went wrong is a message too. `wake` after each, so that nothing that was read waits for what is still being read. */
  async #fetch(wake: () => void): Promise<void> {
    let bytes = 0
    for (let isLast = false; !isLast && bytes < AHEAD_BYTES && !this.#isDone; ) {
      const message = await this.#next()
      isLast = message.kind === LOAD_END || message.kind === LOAD_FAILED
      bytes += message.bytes.length
      this.#messages.push(message)
      wake()
    }
    this.#isFetching = false
    wake()
  }

  async #next(): Promise<Message> {
    try {
      for (;;) {
        const block = await this.#blocks?.next()
        if (block !== undefined && block.done !== true) return { kind: LOAD_BLOCK, bytes: block.value }
        this.#blocks = undefined
        const next = await this.#source.next()
        if (next.done === true) return { kind: LOAD_END, bytes: NOTHING }
        if ('kind' in next.value) return next.value
        this.#blocks = next.value.blocks[Symbol.asyncIterator]()
      }
    } catch (error) {
      const failure: LoadFailure = { code: isMillraceError(error) ? error.code : 'ERR_LOAD', message: messageOf(error) }
      return { kind: LOAD_FAILED, bytes: pack(failure) }
    }
  }
}

const NOTHING = new Uint8Array(0)

async function* messagesOf(whole: Journal, request: LoadRequest): AsyncGenerator<Message | Blocks> {
  const readable = request.isLenient === true ? new ReadableParts(whole) : undefined
  const journal = readable ?? whole
  const snapshots = request.isWhole ? basesOf(journal) : journal
  yield beginMessage(request.entity === undefined ? journal.eventTypes : undefined)
  if (request.entity !== undefined) yield* entityMessages(journal, snapshots, request.entity as EntityId, request.snapshotBelow)
  else yield* shardMessages(journal, snapshots, request)
  if (readable !== undefined && readable.damages.length > 0) yield { kind: LOAD_DAMAGES, bytes: pack(readable.damages) }
}

/** What cannot be had from the log any more. */
function basesOf(journal: LoadSource): Snapshots {
  return {
    snapshot: (entity) => journal.base(entity),
    *snapshots(shard) {
      for (const { entity, number, version } of journal.heads(shard)) {
        const base = journal.base(entity)
        if (base !== undefined) yield { ...base, number, headVersion: version }
      }
    },
  }
}

async function* entityMessages(
  journal: LoadSource,
  snapshots: Snapshots,
  entity: EntityId,
  snapshotBelow = Infinity,
): AsyncGenerator<Message | Blocks> {
  const head = journal.head(entity)
  if (head === undefined) return
  yield headsMessage(head.shard, [head])
  const snapshot = snapshots.snapshot(entity, snapshotBelow - 1)
  if (snapshot !== undefined) {
    const messages = new SnapshotMessages()
    messages.add(head.shard, head.number, snapshot)
    yield messages.take()
  }
  const from = firstRowNeeded(snapshot, head.version)
  if (from < journal.endPosition) yield { blocks: journal.blocks({ from, entity }) }
}

async function* shardMessages(journal: LoadSource, snapshots: Snapshots, request: LoadRequest): AsyncGenerator<Message | Blocks> {
  const { shards, entityTypes } = request
  const isWanted = (entity: EntityId): boolean => entityTypes === undefined || entityTypes.includes(typeOf(entity))
  // All heads first, so that the worker knows from the beginning how much there is, and which entities are none of the log's.
  const told: { readonly shard: number; numberEnd: number; left: number }[] = []
  for (const shard of shards) {
    const own = { shard, numberEnd: 0, left: 0 }
    let heads: EntityHead[] = []
    for (const head of journal.heads(shard)) {
      if (!isWanted(head.entity)) continue
      own.numberEnd = head.number + 1
      own.left++
      heads.push(head)
      if (heads.length === HEADS_PER_MESSAGE) {
        yield headsMessage(shard, heads)
        heads = []
      }
    }
    if (heads.length > 0) yield headsMessage(shard, heads)
    if (own.left > 0) told.push(own)
  }
  const isWantedNumber = (shard: number, number: number): boolean => {
    const entity = entityTypes === undefined ? undefined : journal.entityName(shard, number)
    return entity === undefined || isWanted(entity)
  }
  let from = Number.POSITIVE_INFINITY
  const messages = new SnapshotMessages()
  for (const own of told) {
    for (const snapshot of snapshots.snapshots(own.shard)) {
      const { number, headVersion } = snapshot
      // Others may have begun meanwhile.
      if (number >= own.numberEnd || !isWantedNumber(own.shard, number)) continue
      own.left--
      from = Math.min(from, firstRowNeeded(snapshot, headVersion))
      messages.add(own.shard, number, snapshot)
      if (messages.byteCount >= SNAPSHOTS_BYTES) yield messages.take()
    }
    if (own.left > 0) from = 0
  }
  if (messages.byteCount > 0) yield messages.take()
  if (journal.endPosition - from > SCAN_ROWS_MIN) yield* firstMessages(journal, snapshots, request.first ?? [])
  if (from < journal.endPosition) yield { blocks: journal.blocks({ from, shards: new Set(shards), isMerged: true }) }
}

/** The rows of some entities, one after the other, in front of the scan that has them too. */
async function* firstMessages(journal: LoadSource, snapshots: Snapshots, entities: readonly string[]): AsyncGenerator<Message | Blocks> {
  for (const id of entities) {
    const entity = id as EntityId
    const head = journal.head(entity)
    if (head === undefined) continue
    yield { kind: LOAD_ONLY, bytes: utf8.encode(entity) }
    yield { blocks: journal.blocks({ from: firstRowNeeded(snapshots.snapshot(entity), head.version), entity }) }
  }
  if (entities.length > 0) yield { kind: LOAD_ONLY, bytes: NOTHING }
}

function typeOf(entity: EntityId): string {
  return entity.slice(0, entity.indexOf('/'))
}

/** Position of the first row that the snapshot does not cover; infinity when it covers all. */
function firstRowNeeded(snapshot: Pick<Snapshot, 'version' | 'position'> | undefined, headVersion: number): number {
  if (snapshot === undefined) return 0
  return snapshot.version < headVersion ? snapshot.position : Number.POSITIVE_INFINITY
}

function beginMessage(eventTypes: LoadBegin['eventTypes']): Message {
  const begin: LoadBegin = { eventTypes }
  return { kind: LOAD_BEGIN, bytes: pack(begin) }
}

function headsMessage(shard: number, heads: readonly EntityHead[]): Message {
  const lengths = heads.map(({ entity }) => utf8Bytes(entity))
  const bytes = new Uint8Array(4 + lengths.reduce((sum, length) => sum + LOADED_HEAD_BYTES + length, 0))
  const view = new DataView(bytes.buffer)
  view.setUint32(0, shard, true)
  let at = 4
  for (const [index, { entity, number, version, term, appendNumber }] of heads.entries()) {
    view.setUint32(at, number, true)
    view.setUint32(at + 4, version, true)
    view.setUint32(at + 8, term, true)
    view.setUint32(at + 12, appendNumber, true)
    view.setUint32(at + 16, lengths[index] as number, true)
    at = writeUtf8(entity, bytes, at + LOADED_HEAD_BYTES)
  }
  return { kind: LOAD_HEADS, bytes }
}

/** Puts snapshots into messages, each with its length in front. */
class SnapshotMessages {
  byteCount = 0
  #bytes = new Uint8Array(0)
  #view = new DataView(this.#bytes.buffer)

  add(shard: number, number: number, { version, term, appendNumber, bytes }: Omit<Snapshot, 'entity'>): void {
    const at = this.byteCount
    const end = at + 4 + LOADED_SNAPSHOT_BYTES + bytes.length
    if (end > this.#bytes.length) this.#grow(Math.max(end, SNAPSHOTS_BYTES + SNAPSHOTS_BYTES / 4))
    this.#view.setUint32(at, end - at - 4, true)
    this.#view.setUint32(at + 4, version, true)
    this.#view.setUint32(at + 8, term, true)
    this.#view.setUint32(at + 12, appendNumber, true)
    this.#view.setUint32(at + 16, shard, true)
    this.#view.setUint32(at + 20, number, true)
    this.#bytes.set(bytes, end - bytes.length)
    this.byteCount = end
  }

  take(): Message {
    const message = { kind: LOAD_SNAPSHOTS, bytes: this.#bytes.subarray(0, this.byteCount) }
    this.#bytes = new Uint8Array(0)
    this.byteCount = 0
    return message
  }

  #grow(byteCount: number): void {
    const grown = new Uint8Array(byteCount)
    grown.set(this.#bytes.subarray(0, this.byteCount))
    this.#bytes = grown
    this.#view = new DataView(grown.buffer)
  }
}
