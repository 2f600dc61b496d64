import { serveControl } from '#processes/control-socket.js'
import { openToolLifeline } from '#processes/tool-process.js'
import { repairMethods } from '#runtime/log-repair.js'

/** Repairs the log of a data directory, whose lock the caller holds, for one tool. Arguments: data directory, socket path. */
const [dataDirectory, socketPath] = process.argv.slice(2) as [string, string]
const control = await serveControl(socketPath, repairMethods(dataDirectory))
openToolLifeline(() => {
  void control.close().finally(() => process.exit(0))
})
