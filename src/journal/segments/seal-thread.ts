import { setPriority } from 'node:os'
import { move, transferableSymbol, valueSymbol } from 'piscina'
import { messageOf } from '#base/errors.js'
import { type ReadBack, type ReadBackTask, readBack } from './check-segment.js'
import { type SealedBytes, type SealTask, sealSegment } from './seal-segment.js'

/** Blocks on their way to a thread, many in one piece of memory. */
export interface PackedBlocks {
  readonly bytes: Uint8Array<ArrayBuffer>
  /** Where each ends. */
  readonly ends: readonly number[]
}

/** `leisurely`: appends come first. `urgent`: they wait for it. */
export type Haste = 'leisurely' | 'urgent'

/** What a thread may be asked for: bytes in, bytes out. */
export type SegmentTask = { readonly haste: Haste } & (
  | ({ readonly kind: 'seal'; readonly packed: readonly PackedBlocks[] } & Omit<SealTask, 'blocks'>)
  | ({ readonly kind: 'read-back' } & ReadBackTask)
)

/** A sealed file in one piece of memory. */
export type SealedFile = Omit<SealedBytes, 'pieces'> & { readonly bytes: Uint8Array<ArrayBuffer> }

/** Errors lose what they are on their way out of a thread, so that they go as a value. */
export type SegmentAnswer =
  | ({ readonly kind: 'sealed' } & SealedFile)
  | ({ readonly kind: 'read-back' } & ReadBack)
  | { readonly kind: 'failed'; readonly why: string }

/** Does what is asked for, in whatever thread. */
export function runSegmentTask(task: SegmentTask): SegmentAnswer {
  try {
    if (task.kind === 'read-back') return { kind: 'read-back', ...readBack(task) }
    const { packed, haste: _, ...rest } = task
    const blocks = packed.flatMap(({ bytes, ends }) => ends.map((end, index) => bytes.subarray(index === 0 ? 0 : ends[index - 1], end)))
    const { pieces, ...known } = sealSegment({ ...rest, blocks })
    const bytes = new Uint8Array(pieces.reduce((sum, piece) => sum + piece.length, 0))
    let at = 0
    for (const piece of pieces) {
      bytes.set(piece, at)
      at += piece.length
    }
    return { kind: 'sealed', ...known, bytes }
  } catch (error) {
    return { kind: 'failed', why: messageOf(error) }
  }
}

/** On Linux a priority is a thread's own. */
const NICE = 10
let isNice = false

/** What piscina calls in its threads: all tasks of one are in the same haste. Memory is handed over, not copied. */
export default function inThread(task: SegmentTask): unknown {
  if (task.haste === 'leisurely' && !isNice && process.platform === 'linux') setPriority(NICE)
  isNice = true
  const answer = runSegmentTask(task)
  return answer.kind === 'sealed' ? move({ [transferableSymbol]: [answer.bytes.buffer], [valueSymbol]: answer }) : answer
}
