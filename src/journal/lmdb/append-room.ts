import { MillraceError } from '#base/errors.js'
import { fileBytes } from './environment.js'
import type { Segment } from './segment.js'

export interface AppendRoom {
  /** Of the log. */
  readonly directory: string
  readonly mapBytes: number
  readonly reserveBytes: number
  readonly freeBytes: (directory: string) => number
}

/** Makes sure, before a batch of so many bytes is written, that the disk and the active segment take it. Throws ERR_JOURNAL_FULL. */
export function checkAppendRoom({ directory, mapBytes, reserveBytes, freeBytes }: AppendRoom, active: Segment, bytes: number): void {
  const needed = bytes * 2
  const free = freeBytes(directory)
  if (free < needed + reserveBytes) {
    throw new MillraceError('ERR_JOURNAL_FULL', {
      fact: 'the disk has no room for another batch',
      action: 'retry',
      values: { directory, freeBytes: free, neededBytes: needed, reserveBytes },
      next: 'free some space; nothing is lost, and appending goes on by itself',
    })
  }
  const stored = fileBytes(active.file)
  if (stored + needed > mapBytes) {
    throw new MillraceError('ERR_JOURNAL_FULL', {
      fact: 'the segment has reached its limit',
      action: 'operator',
      values: { segment: active.name, storedBytes: stored, mapBytes },
      next: 'raise the limit and start the plant again',
    })
  }
}
