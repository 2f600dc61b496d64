import { type MillraceError, messageOf } from '#base/errors.js'
import { unpack } from '#base/pack.js'
import type { Consumer } from '#bus/index.js'
import { type AppendRules, whyNotAppend } from '#journal/append-check.js'
import type { AppendAnswer, AppendBatch } from '#journal/journal.js'
import { LinkBatch } from './link-batch.js'
import type { ServedLink } from './served-link.js'
import { APPEND_FRAME, LOAD_FRAME, type LoadRequest, SNAPSHOT_FRAME } from './serving-frames.js'

/** What one group commit takes off the appends channels. The appends stay in their frames until they are released. Used again and again. */
export class GroupBatch implements AppendBatch {
  count = 0
  readonly memories: AppendBatch['memories']
  readonly memory: Int32Array
  readonly offsets: Int32Array
  readonly lengths: Int32Array
  readonly slots: Int32Array
  /** By link. */
  readonly parts: readonly LinkBatch[]
  /** The journal's, once it has given one. */
  answer: AppendAnswer | undefined
  /** Of the answer's rejections, so many are on their way to the workers. */
  rejectionsSent = 0
  /** When the journal got it, milliseconds of the monotonic clock. */
  handedMs = 0
  /** The disk had no room for it when it was handed over last. */
  isRefused = false
  readonly #framesMax: number
  readonly #bytesMax: number
  #byteCount = 0

  constructor(links: readonly ServedLink[], framesMax: number, bytesMax: number) {
    this.#framesMax = framesMax
    this.#bytesMax = bytesMax
    this.parts = links.map((link) => new LinkBatch(link))
    this.memories = links.map((link) => link.appends)
    this.memory = new Int32Array(framesMax)
    this.offsets = new Int32Array(framesMax)
    this.lengths = new Int32Array(framesMax)
    this.slots = new Int32Array(framesMax)
  }

  /** Reads from all links, beginning with `firstLink`, up to the limits of a group commit. Returns how many frames that were, of all kinds. */
  collect(firstLink: number): number {
    this.count = 0
    this.answer = undefined
    this.rejectionsSent = 0
    this.isRefused = false
    this.#byteCount = 0
    let frames = 0
    for (let step = 0; step < this.parts.length; step++) frames += this.#collectFrom((firstLink + step) % this.parts.length)
    return frames
  }

  /**
   * After it could not be stored: gives those channels up that brought a frame which no worker can have written, and answers the error of the first. Its
   * workers send again what was in them. Undefined when all frames are good.
   */
  giveUpMalformed(rules: AppendRules): MillraceError | undefined {
    let found: MillraceError | undefined
    for (let index = 0; index < this.count; index++) {
      const { appends } = (this.parts[this.memory[index] as number] as LinkBatch).link
      const why = whyNotAppend(appends, this.offsets[index] as number, this.lengths[index] as number, rules)
      if (why !== undefined) found ??= appends.giveUp('an append in it makes no sense', { why })
    }
    return found
  }

  #collectFrom(index: number): number {
    const part = (this.parts[index] as LinkBatch).clear()
    const { appends, slot } = part.link
    let frames = 0
    while (this.count < this.#framesMax && this.#byteCount < this.#bytesMax) {
      const offset = appends.next()
      if (offset < 0) break
      frames++
      part.readEnd = appends.endPosition
      this.#byteCount += appends.length
      if (appends.type === APPEND_FRAME) {
        part.lastAppendIndex = this.count
        this.memory[this.count] = index
        this.offsets[this.count] = offset
        this.lengths[this.count] = appends.length
        this.slots[this.count] = slot
        this.count++
      } else if (appends.type === LOAD_FRAME) {
        part.loads.push(loadIn(appends, offset))
      } else if (appends.type === SNAPSHOT_FRAME) {
        part.takeSnapshot(offset, this.offsets)
      }
    }
    return frames
  }
}

/** Gives the channel up where there is no request. */
function loadIn(appends: Consumer, offset: number): LoadRequest {
  try {
    return unpack<LoadRequest>(appends.bytes.slice(offset, offset + appends.length))
  } catch (error) {
    throw appends.giveUp('a request in it cannot be read', { position: appends.startPosition, why: messageOf(error) })
  }
}
