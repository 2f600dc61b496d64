// npm's `install` step. Never fails: without the addon a plant still runs inline, in one process, and the first thing that needs it says
// what to do.
import { compile, isCheckout, isCompiled, loads, prebuiltBinary } from './compile.mjs'

try {
  install()
} catch (error) {
  sayWithout(error instanceof Error ? error.message : String(error))
}

function install() {
  if (process.platform !== 'linux') {
    say(`the shared-memory bus is for Linux, this is ${process.platform}: plants run inline, in one process`)
    return
  }
  if (!isCheckout && loads(prebuiltBinary)) return
  if (isCompiled()) return
  const failure = compile()
  if (failure !== undefined) sayWithout(failure)
}

function sayWithout(failure) {
  const again = isCheckout ? 'npm run build' : 'npm rebuild millrace --foreground-scripts'
  const [reason, ...rest] = failure.split('\n')
  if (rest.length > 0 && process.env.npm_config_foreground_scripts === 'true') process.stderr.write(`${rest.join('\n')}\n`)
  say(`the native addon could not be compiled (${reason}); plants run inline, in one process; to try again: ${again}`)
}

function say(text) {
  process.stderr.write(`millrace: ${text}\n`)
}
