import { serveControl } from '#processes/control-socket.js'
import { openToolLifeline } from '#processes/tool-process.js'
import { openLog } from '#runtime/data-directory.js'
import { journalMethods } from '#runtime/journal-service.js'

/**
 * Opens the log of a data directory for reading only and answers for it at a control socket, for one tool and as long as that lives.
 * Arguments: data directory, socket path.
 */
const [dataDirectory, socketPath] = process.argv.slice(2) as [string, string]
const journal = await openLog(dataDirectory, { isReadOnly: true })
const control = await serveControl(socketPath, journalMethods(journal))
openToolLifeline(() => {
  void control
    .close()
    .then(() => journal.close())
    .finally(() => process.exit(0))
})
