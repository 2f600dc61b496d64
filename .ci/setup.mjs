/**
 * Brings a clone to the point where a task can run: packages, addon, compiled JavaScript. Each step compares what is there with a hash of
 * what it was made from and does nothing when they agree, so a second call costs some tens of milliseconds. Says each step that does work,
 * with its seconds, on stderr: stdout belongs to the task. Node built-ins only, for it runs before anything is installed.
 */
import { spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { constants } from 'node:os'
import { dirname, join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'

export const root = fileURLToPath(new URL('..', import.meta.url))

const STEPS = {
  install: { isDone: isInstalled, work: install },
  native: { isDone: isAddonBuilt, work: buildAddon },
  compile: { isDone: isCompiled, work: compile },
}

const SIGNALS = ['SIGINT', 'SIGTERM']

/** How long one task waits for the set-up of another in the same clone. */
const LOCK_WAIT_MS = 10 * 60_000

/** Does the named steps, in order. Throws SetupError when one fails. */
export async function setUp(names) {
  if (names.every((name) => STEPS[name].isDone())) return
  const unlock = await lock()
  try {
    for (const name of names) {
      if (STEPS[name].isDone()) continue
      const start = performance.now()
      say(`${name} …`)
      await STEPS[name].work()
      say(`${name} took ${((performance.now() - start) / 1000).toFixed(1)} s`)
    }
  } finally {
    unlock()
  }
}

export class SetupError extends Error {}

/** Runs a program with this task's standard streams and resolves with its exit code; 128 + n after a signal, as a shell has it. */
export function run(command, args, options = {}) {
  const { env, ...rest } = options
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { cwd: root, stdio: 'inherit', env: { ...process.env, ...env }, ...rest })
    // A terminal sends SIGINT to the child as well, and a second one means "at once" to it; a supervisor signals this process alone.
    const forward = (signal) => (signal === 'SIGINT' && process.stdin.isTTY) || child.kill(signal)
    for (const name of SIGNALS) process.on(name, forward)
    child.once('error', reject)
    child.once('exit', (code, signal) => {
      for (const name of SIGNALS) process.off(name, forward)
      resolve(code ?? 128 + constants.signals[signal])
    })
  })
}

/** The program that an installed package brings. */
export function bin(name) {
  return join(root, 'node_modules', '.bin', name)
}

/** All files below a folder of the clone, as sorted paths relative to the root. */
export function filesBelow(folder, accepts = () => true) {
  if (!existsSync(join(root, folder))) return []
  return readdirSync(join(root, folder), { withFileTypes: true, recursive: true })
    .filter((entry) => entry.isFile())
    .map((entry) => relative(root, join(entry.parentPath ?? entry.path, entry.name)))
    .filter((path) => !path.split('/').includes('node_modules') && accepts(path))
    .sort()
}

// install: node_modules agrees with the lockfile.

const INSTALL_STAMP = 'node_modules/.millrace-lock-hash'

function isInstalled() {
  const wanted = hashOf(['package-lock.json'])
  if (stampIs(INSTALL_STAMP, wanted)) return true
  // Somebody ran npm by hand: npm's own record of what it installed tells whether that was this lockfile.
  if (!existsSync(join(root, 'node_modules/.package-lock.json'))) return false
  const installed = readJson('node_modules/.package-lock.json').packages
  for (const [path, entry] of Object.entries(readJson('package-lock.json').packages)) {
    if (path === '' || entry.link) continue
    const found = installed[path]
    if (found === undefined ? !entry.optional && !entry.devOptional : found.version !== entry.version) return false
  }
  writeStamp(INSTALL_STAMP, wanted)
  return true
}

async function install() {
  // The package's own install script would build the addon a second time: the native step does it, and says why when it fails.
  const code = await run('npm', ['ci', '--no-audit', '--no-fund', '--ignore-scripts', '--loglevel=error'], onStderr())
  if (code !== 0) throw new SetupError(`npm ci ended with ${code}: is the npm registry within reach?`)
  writeStamp(INSTALL_STAMP, hashOf(['package-lock.json']))
}

// native: the addon agrees with its sources.

const NATIVE_STAMP = 'native/build/.millrace-hash'

function addonHash() {
  return hashOf([
    ...filesBelow('native', (path) => /^native\/[^/]+\.(cc|h|gyp|mjs)$/.test(path)),
    ...['package-lock.json'].filter((path) => existsSync(join(root, path))),
  ])
}

function isAddonBuilt() {
  if (!existsSync(join(root, 'native/build.mjs'))) return true
  const isBuilt = filesBelow('native/build', (path) => path.endsWith('.node')).length > 0
  return isBuilt && stampIs(NATIVE_STAMP, addonHash())
}

async function buildAddon() {
  const code = await run(process.execPath, ['native/build.mjs'], onStderr())
  if (code !== 0) {
    throw new SetupError(
      `native/build.mjs ended with ${code}: a C++ compiler, make and python3 are needed (Debian: apt-get install build-essential python3)`,
    )
  }
  writeStamp(NATIVE_STAMP, addonHash())
}

// compile: dist agrees with the TypeScript sources.

const COMPILE_STAMP = 'dist/.millrace-hash'
const COMPILED_FOLDERS = ['src', 'apps', 'bench']

function sourcesHash() {
  return hashOf([
    'tsconfig.json',
    '.ci/tsconfig.build.json',
    'package.json',
    'package-lock.json',
    ...COMPILED_FOLDERS.flatMap((folder) => filesBelow(folder, (path) => path.endsWith('.ts'))),
  ])
}

function isCompiled() {
  return stampIs(COMPILE_STAMP, sourcesHash())
}

async function compile() {
  const before = sourcesHash()
  const code = await run(bin('tsc'), ['-p', '.ci/tsconfig.build.json'], onStderr())
  if (code !== 0) throw new SetupError(`tsc ended with ${code}: see its messages above`)
  removeOrphans()
  writeStamp(COMPILE_STAMP, before)
}

/** Removes what was compiled from sources that are gone: it would be packed, and could still be imported. */
function removeOrphans() {
  for (const path of filesBelow('dist', (name) => /\.(js|js\.map|d\.ts)$/.test(name))) {
    const source = path.replace(/^dist\//, '').replace(/\.(js|js\.map|d\.ts)$/, '.ts')
    if (!existsSync(join(root, source))) rmSync(join(root, path), { force: true })
  }
}

// One set-up at a time in a clone, also when two tasks start together.

async function lock() {
  const path = join(root, '.setup-lock')
  const deadline = Date.now() + LOCK_WAIT_MS
  for (let isFirst = true; ; isFirst = false) {
    try {
      writeFileSync(path, String(process.pid), { flag: 'wx' })
      return () => rmSync(path, { force: true })
    } catch (error) {
      if (error.code !== 'EEXIST') throw error
    }
    const owner = ownerOf(path)
    if (owner !== undefined && !isAlive(owner)) {
      rmSync(path, { force: true })
      continue
    }
    if (Date.now() > deadline) throw new SetupError(`another set-up holds .setup-lock pid=${owner}: end it, or remove the file`)
    if (isFirst) say(`waiting for the set-up of process ${owner}`)
    await new Promise((resolve) => setTimeout(resolve, 200))
  }
}

/** The process that holds the lock; undefined while it is just being written or was just given back. */
function ownerOf(path) {
  try {
    const pid = Number(readFileSync(path, 'utf8'))
    return pid > 0 ? pid : undefined
  } catch {
    return undefined
  }
}

function isAlive(pid) {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return error.code === 'EPERM'
  }
}

function onStderr() {
  return { stdio: ['ignore', process.stderr, process.stderr] }
}

function say(text) {
  process.stderr.write(`set-up: ${text}\n`)
}

function hashOf(paths) {
  const hash = createHash('sha256').update(`${process.platform} ${process.arch}\n`)
  for (const path of paths)
    hash
      .update(`${path}\n`)
      .update(readFileSync(join(root, path)))
      .update('\n')
  return hash.digest('hex')
}

function stampIs(path, wanted) {
  return existsSync(join(root, path)) && readFileSync(join(root, path), 'utf8') === wanted
}

function writeStamp(path, value) {
  mkdirSync(dirname(join(root, path)), { recursive: true })
  writeFileSync(join(root, path), value)
}

function readJson(path) {
  return JSON.parse(readFileSync(join(root, path), 'utf8'))
}
