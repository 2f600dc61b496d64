import { isMillraceError, MillraceError } from '#base/errors.js'
import { callControl } from '#processes/control-client.js'
import { dataPaths } from '#runtime/data-directory.js'
import { requireLog } from '#runtime/journal-access.js'

/** Asks the journal of a running plant for what only it can do. Throws ERR_NO_PLANT when none runs. */
export async function askJournal(dataDirectory: string, name: string, args: unknown): Promise<unknown> {
  requireLog(dataDirectory)
  try {
    return await callControl(dataPaths(dataDirectory).journalSocket, name, args)
  } catch (error) {
    if (!isMillraceError(error, 'ERR_SOCKET_ABSENT')) throw error
    throw new MillraceError('ERR_NO_PLANT', {
      fact: 'no plant runs on this data directory, and only its journal can do this',
      action: 'operator',
      values: { data: dataDirectory },
      next: 'start it with millrace up',
    })
  }
}
