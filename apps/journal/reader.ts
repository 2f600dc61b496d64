import { serveControl } from '#processes/control-socket.js'
import { openToolLifeline } from '#processes/tool-process.js'
import { openLog } from '#runtime/data-directory.js'
import { journalMethods } from '#runtime/journal-service.js'
import { unreadableMethods } from '#runtime/verify-service.js'

/**
 * Opens the log of a data directory for reading only and answers for it at a control socket, for one tool and as long as that lives. A log that cannot be
 * opened is answered for as well: with the reason, and with all that verify finds. Arguments: data directory, socket path.
 */
const [dataDirectory, socketPath] = process.argv.slice(2) as [string, string]
const journal = await openLog(dataDirectory, { isReadOnly: true }).catch((error: unknown) => error as Error)
const control = await serveControl(
  socketPath,
  journal instanceof Error ? unreadableMethods(dataDirectory, journal) : journalMethods(journal),
)
openToolLifeline(() => {
  void control
    .close()
    .then(() => (journal instanceof Error ? undefined : journal.close()))
    .finally(() => process.exit(0))
})
