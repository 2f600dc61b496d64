import type { Row } from '#journal/index.js'
import type { LogFeed } from './log-feed.js'
import type { RowSelection } from './row-selection.js'

/** How much further back is looked each time when there are not enough among the newest rows. */
const LOOK_BACK_FACTOR = 16

/** The last rows of the log that are selected, in order, and where the log ended. Looks back no further than it must. */
export async function newestRows(
  feed: LogFeed,
  selection: RowSelection,
  count: number,
): Promise<{ readonly rows: readonly Row[]; readonly end: number }> {
  const first = await feed.locate('beginning')
  const end = await feed.locate('end')
  const { signal } = new AbortController()
  let rows: Row[] = []
  let from = end
  for (let span = count; rows.length < count && from > first; span *= LOOK_BACK_FACTOR) {
    from = Math.max(first, end - span)
    rows = []
    for await (const batch of feed.batches({ from, selection, isLive: false }, signal)) {
      rows.push(...batch.rows.filter(({ position }) => position < end))
      if (rows.length > count) rows = rows.slice(-count)
    }
  }
  return { rows, end }
}
