import { channelStat } from './channel-stat.js'
import { CopiedFrames } from './copied-frames.js'
import { HEADER_BYTES } from './layout.js'
import { distance } from './position.js'

/**
 * A copy of the frame that begins at `position`, looked at from outside while nobody may release it; undefined when it is released, was never published, or
 * what is there is no frame. Changes nothing, and throws only for memory that is no channel.
 */
export function frameAt(buffer: ArrayBufferLike, position: number): { readonly bytes: Uint8Array; readonly type: number } | undefined {
  const stat = channelStat(buffer)
  const published = distance(position, stat.publishedPosition)
  if (distance(stat.releasedPosition, position) < 0 || published <= 0 || published > stat.capacityBytes) return undefined
  const start = position & (stat.capacityBytes - 1)
  const copy = new Uint8Array(buffer, HEADER_BYTES + start, Math.min(stat.capacityBytes - start, published)).slice()
  const frames = new CopiedFrames(stat).over(copy, copy.length, position)
  if ((position & 7) !== 0 || frames.next() !== 'frame' || frames.startOffset !== 0) return undefined
  return { bytes: copy.slice(frames.offset, frames.offset + frames.length), type: frames.type }
}
