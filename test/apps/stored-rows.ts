import type { Row } from '#journal/index.js'
import { JournalAccess } from '#runtime/journal-access.js'

/** All rows of the log of a plant, running or not, receipts too. */
export async function storedRows(dataDirectory: string): Promise<Row[]> {
  const access = await JournalAccess.open(dataDirectory)
  try {
    const rows: Row[] = []
    for await (const row of access.query({ receipts: true })) rows.push(row)
    return rows
  } finally {
    await access.close()
  }
}
