import { serveControl } from '#processes/control-socket.js'
import { endWithParent } from '#processes/end-with-parent.js'
import { openToolLifeline } from '#processes/tool-process.js'
import { type FoldArgument, foldMethods } from '#runtime/fold-service.js'

/** Folds what it is sent for one tool, under the conditions of its environment and its argument, JSON. The plant's code is loaded and applied here. */
const argument = JSON.parse(process.argv[2] as string) as FoldArgument
endWithParent()
const control = await serveControl(argument.socket, await foldMethods(argument))
openToolLifeline(() => {
  void control.close().finally(() => process.exit(0))
})
