import type { AppendBatch } from '#journal/journal.js'

/** Append frames, one behind the other in memory of their own, as a batch for the journal. */
export function frameBatch(frames: readonly Uint8Array[]): AppendBatch {
  const bytes = new Uint8Array(frames.reduce((sum, { length }) => sum + length, 0))
  const offsets: number[] = []
  let end = 0
  for (const frame of frames) {
    offsets.push(end)
    bytes.set(frame, end)
    end += frame.length
  }
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
