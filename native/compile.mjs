import { spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync, readdirSync, readFileSync, realpathSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { delimiter, dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const folder = fileURLToPath(new URL('.', import.meta.url))
const require = createRequire(import.meta.url)
const stampFile = join(folder, 'build', '.source-hash')

export const builtBinary = join(folder, 'build', 'Release', 'millrace.node')
export const prebuiltBinary = join(folder, 'prebuilds', `${process.platform}-${process.arch}`, 'millrace.node')

/** Only a checkout has the TypeScript sources. There our own warnings are errors. */
export const isCheckout = existsSync(join(folder, '..', 'src'))

/** Whether the binary was compiled from these very sources and loads. */
export function isCompiled() {
  return existsSync(stampFile) && readFileSync(stampFile, 'utf8') === sourceHash() && loads(builtBinary)
}

/** Runs node-gyp. Returns undefined when it worked, else what went wrong, with the compiler's last words. */
export function compile() {
  const nodeGyp = findNodeGyp()
  if (nodeGyp === undefined) return 'node-gyp was not found'
  const { command, args } = nodeGyp
  const nodeDirectory = headersDirectory()
  const outcome = spawnSync(
    command,
    [
      ...args,
      'rebuild',
      '--directory',
      folder,
      ...(nodeDirectory === undefined ? [] : [`--nodedir=${nodeDirectory}`]),
      '--',
      `-Dmillrace_strict=${isCheckout ? 1 : 0}`,
    ],
    { encoding: 'utf8', maxBuffer: 64 * 1024 * 1024 },
  )
  if (outcome.error !== undefined) return outcome.error.message
  if (outcome.status !== 0)
    return `node-gyp ended with ${outcome.status ?? outcome.signal}\n${lastLines(outcome.stdout + outcome.stderr, 40)}`
  const failure = whyNotLoaded(builtBinary)
  if (failure !== undefined) return `it was compiled but does not load: ${failure}`
  writeFileSync(stampFile, sourceHash())
  return undefined
}

export function loads(binary) {
  return existsSync(binary) && whyNotLoaded(binary) === undefined
}

/** In a process of its own, so that a binary that crashes is only one that does not load. */
function whyNotLoaded(binary) {
  const probe = spawnSync(process.execPath, ['-e', 'require(process.argv[1])', binary], { encoding: 'utf8' })
  return probe.status === 0 ? undefined : lastLines(probe.stderr, 8)
}

function sourceHash() {
  const hash = createHash('sha256')
  for (const name of readdirSync(folder).toSorted()) {
    if (!/\.(cc|h|gyp)$/.test(name)) continue
    hash.update(`${name}\0`).update(readFileSync(join(folder, name)))
  }
  return hash
    .update(JSON.stringify(require('node-addon-api/package.json').version))
    .update(String(isCheckout))
    .digest('hex')
}

/** npm names its own node-gyp to lifecycle scripts; a checkout has one of its own; anything else is a matter of PATH. */
function findNodeGyp() {
  const named = process.env.npm_config_node_gyp
  if (named !== undefined && existsSync(named)) return { command: process.execPath, args: [named] }
  try {
    return { command: process.execPath, args: [require.resolve('node-gyp/bin/node-gyp.js')] }
  } catch {
    const onPath = (process.env.PATH ?? '').split(delimiter).some((directory) => existsSync(join(directory, 'node-gyp')))
    return onPath ? { command: 'node-gyp', args: [] } : undefined
  }
}

/**
 * Node's headers where this Node was installed with them, so that nothing has to be downloaded. Undefined leaves it to node-gyp. Headers of
 * another version do as well: the addon uses Node-API only.
 */
function headersDirectory() {
  if (process.env.npm_config_nodedir !== undefined) return undefined
  const prefix = dirname(dirname(realpathSync(process.execPath)))
  const candidates = [prefix, join(prefix, 'node_modules', `node-${process.platform}-${process.arch}`)]
  return candidates.find((candidate) => existsSync(join(candidate, 'include', 'node', 'node_api.h')))
}

function lastLines(text, count) {
  return text.trimEnd().split('\n').slice(-count).join('\n')
}
