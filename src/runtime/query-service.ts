import type { Journal, LogQuery, QueryPlan, ResultColumn, ScanCounts } from '#journal/index.js'
import { packExact } from './exact-pack.js'

/** What a query answers over a socket, in this order: the plan, then rows and progress, then the end. Rows as exact-pack.ts has lists of values. */
export type QueryItem<Rows = string> =
  | { readonly kind: 'plan'; readonly columns: readonly ResultColumn[]; readonly plan: QueryPlan }
  | { readonly kind: 'rows'; readonly rows: Rows }
  | { readonly kind: 'progress'; readonly counts: ScanCounts }
  | { readonly kind: 'end'; readonly counts: ScanCounts }

const ROWS_PER_ITEM = 512
/** Characters of a packed item; a line of the socket may have twice as many. */
const ITEM_CHARACTERS_MAX = 8 << 20
const PROGRESS_EVERY_MS = 200

/** Runs a query and tells how far it is, also while no row matches. Ends soon after `signal` is aborted. */
export async function* queryItems(journal: Journal, query: LogQuery, signal: AbortSignal): AsyncGenerator<QueryItem> {
  const run = journal.query(query, { signal })
  yield { kind: 'plan', columns: run.columns, plan: run.plan }
  const batches = run.batches()[Symbol.asyncIterator]()
  try {
    for (;;) {
      const next = batches.next()
      let found = await atMost(next, PROGRESS_EVERY_MS)
      while (found === undefined) {
        yield { kind: 'progress', counts: { ...run.counts } }
        found = await atMost(next, PROGRESS_EVERY_MS)
      }
      if (found.done === true) break
      for (const rows of packed(found.value)) yield { kind: 'rows', rows }
    }
  } finally {
    await batches.return?.()
  }
  yield { kind: 'end', counts: { ...run.counts } }
}

/** What the promise comes to, or undefined when that takes longer. */
async function atMost<T>(promise: Promise<T>, ms: number): Promise<T | undefined> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<undefined>((resolve) => {
    timer = setTimeout(() => resolve(undefined), ms)
  })
  try {
    return await Promise.race([promise, late])
  } finally {
    clearTimeout(timer)
  }
}

/** Rows may hold long texts: what would be too long for a line is cut in half, and again. */
function* packed(rows: readonly (readonly unknown[])[], perItem = ROWS_PER_ITEM): Generator<string> {
  for (let start = 0; start < rows.length; start += perItem) {
    const some = rows.slice(start, start + perItem)
    const text = packExact(some)
    if (text.length <= ITEM_CHARACTERS_MAX || some.length === 1) yield text
    else yield* packed(some, Math.ceil(some.length / 2))
  }
}
