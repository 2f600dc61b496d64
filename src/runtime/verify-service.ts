import type { Finding } from '#journal/index.js'
import type { ControlMethod } from '#processes/control-socket.js'
import { dataPaths } from './data-directory.js'

/** Of `verify`: progress in bytes, and what was found. */
export type VerifyItem =
  | { readonly kind: 'progress'; readonly done: number; readonly total: number }
  | { readonly kind: 'finding'; readonly finding: Finding }

const PROGRESS_EVERY_MS = 100

/** Findings as they come, and in between how far it is, also where nothing is found. */
export async function* verifyItems(
  verify: (progress: (done: number, total: number) => void) => AsyncIterable<Finding>,
): AsyncGenerator<VerifyItem> {
  let latest: VerifyItem | undefined
  const findings = verify((done, total) => {
    latest = { kind: 'progress', done, total }
  })[Symbol.asyncIterator]()
  try {
    for (let next = findings.next(); ; ) {
      const found = await Promise.race([next, later(PROGRESS_EVERY_MS)])
      if (latest !== undefined) yield latest
      latest = undefined
      if (found === undefined) continue
      if (found.done === true) return
      yield { kind: 'finding', finding: found.value }
      next = findings.next()
    }
  } finally {
    await findings.return?.()
  }
}

/** What can be answered of a log that cannot be opened, and why: `opened` throws that. */
export function unreadableMethods(dataDirectory: string, why: unknown): Readonly<Record<string, ControlMethod>> {
  return {
    opened() {
      throw why
    },
    async *verify() {
      const { verifyFiles } = await import('#journal/lmdb/index.js')
      yield* verifyItems((progress) => verifyFiles(dataPaths(dataDirectory).journal, progress))
    },
  }
}

function later(ms: number): Promise<undefined> {
  return new Promise((resolve) => {
    setTimeout(() => resolve(undefined), ms).unref()
  })
}
