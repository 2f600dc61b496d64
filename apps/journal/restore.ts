import { serveControl } from '#processes/control-socket.js'
import { openToolLifeline } from '#processes/tool-process.js'
import { restoreMethods } from '#runtime/restore-service.js'

/**
 * Builds the log of a backup for one tool, as long as that lives, and answers it at a control socket. Arguments: directory of the backup, directory to build
 * below, socket path.
 */
const [backup, draft, socketPath] = process.argv.slice(2) as [string, string, string]
const control = await serveControl(socketPath, restoreMethods(backup, draft))
openToolLifeline(() => {
  void control.close().finally(() => process.exit(0))
})
