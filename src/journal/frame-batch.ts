import type { AppendBatch } from './journal.js'

const WORD_BYTES = 8

/** Append frames as a batch, in memory of its own: one behind the other, each at a whole word as in a ring. */
export function frameBatch(frames: readonly Uint8Array[]): AppendBatch {
  const offsets: number[] = []
  let end = 0
  for (const { length } of frames) {
    offsets.push(end)
    end = Math.ceil((end + length) / WORD_BYTES) * WORD_BYTES
  }
  const bytes = new Uint8Array(end)
  for (const [index, frame] of frames.entries()) bytes.set(frame, offsets[index])
  const zeros = new Uint8Array(frames.length)
  return {
    count: frames.length,
    memories: [{ bytes, view: new DataView(bytes.buffer) }],
    memory: zeros,
    offsets,
    lengths: frames.map(({ length }) => length),
    slots: zeros,
  }
}
