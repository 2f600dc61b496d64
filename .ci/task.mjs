/**
 * The one entry behind every npm script and `just` recipe: `node .ci/task.mjs NAME [args]`. Each task works by itself in a fresh clone: it
 * does the set-up it needs first (setup.mjs, on stderr) and leaves stdout to the program that it runs. Ends with that program's exit code,
 * 2 when it was called wrongly.
 */
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, dirname, join } from 'node:path'
import { bin, filesBelow, root, run, SetupError, setUp } from './setup.mjs'

const BUILT = ['install', 'native', 'compile']

/** What each task needs first, and how its arguments become work: a wrong name is told before anything is set up. */
const TASKS = {
  demo: { needs: BUILT, plan: (args) => () => run(process.execPath, ['dist/apps/cli/main.js', 'demo', ...args]) },
  test: { needs: BUILT, plan: (args) => () => vitest(args) },
  build: { needs: BUILT, plan: () => () => 0 },
  bench: { needs: BUILT, plan: planBench },
  soak: { needs: BUILT, plan: planSoak },
  lint: { needs: ['install'], plan: planLint },
  fix: { needs: ['install'], plan: () => fix },
  example: { needs: BUILT, plan: planExample },
}

/** What `lint` checks, by the names that it takes as arguments. `fix` is what mends it, where anything can. */
const CHECKS = {
  format: { command: 'biome', args: ['format'], fix: ['format', '--write'] },
  lint: { command: 'oxlint', args: ['--type-aware', '--deny-warnings'], fix: ['--type-aware', '--fix'] },
  types: { command: 'tsc', args: ['-p', 'tsconfig.json', '--noEmit'] },
  dead: { command: 'knip', args: ['--no-progress'] },
  native: { command: 'clang-format', args: ['--dry-run', '-Werror'], fix: ['-i'] },
}

/** A soak that is not a test file but a program: it loads the compiled plant with changes of its own. */
const SIMULATE = 'simulate'

const NOTHING_RAN = '0 passed, 1 failed\n'

class UsageError extends Error {}

process.exitCode = await main(process.argv.slice(2))

async function main([name, ...args]) {
  const task = Object.hasOwn(TASKS, name ?? '') ? TASKS[name] : undefined
  if (task === undefined) {
    process.stderr.write(`usage: node .ci/task.mjs ${Object.keys(TASKS).join('|')} [args]\n`)
    return 2
  }
  try {
    const work = task.plan(args)
    await setUp(task.needs)
    return await work()
  } catch (error) {
    if (!(error instanceof SetupError || error instanceof UsageError)) throw error
    process.stderr.write(`${name}: ${error.message}\n`)
    if (name === 'test' && error instanceof SetupError) process.stdout.write(NOTHING_RAN)
    return error instanceof UsageError ? 2 : 1
  }
}

/** The last line of stdout is `N passed, N failed`, also when vitest itself does not get that far. */
async function vitest(args, env = {}) {
  const folder = mkdtempSync(join(tmpdir(), 'millrace-test-'))
  const summary = join(folder, 'summary')
  try {
    const code = await run(bin('vitest'), ['run', '--config', 'test/vitest.config.ts', ...args], {
      env: { ...env, MILLRACE_SUMMARY: summary },
    })
    if (!existsSync(summary)) process.stdout.write(NOTHING_RAN)
    return code
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

function planBench([name, ...args]) {
  const names = filesBelow('bench', (path) => /^bench\/[^/]+\.ts$/.test(path)).map((path) => basename(path, '.ts'))
  choose('bench', name, names)
  return () => run(process.execPath, [`dist/bench/${name}.js`, ...args])
}

/**
 * A soak is a test file that takes its counts from test/soak.ts: the same file runs with its smoke counts under `npm test` and here with
 * `--times` rounds (or its own full count) from `--seed`, without a time limit per test.
 */
function planSoak([name, ...args]) {
  const isSoak = (path) => path.endsWith('.test.ts') && /from '(\.\.?\/)+soak\.js'/.test(readFileSync(join(root, path), 'utf8'))
  const files = new Map(filesBelow('test', isSoak).map((path) => [basename(path, '.test.ts'), path]))
  choose('soak', name, [...files.keys(), SIMULATE])
  if (name === SIMULATE) return () => run(process.execPath, ['dist/test/simulation/main.js', ...args])
  const env = { MILLRACE_SOAK: '1' }
  for (let index = 0; index < args.length; index += 2) {
    const value = args[index + 1]
    if (args[index] === '--times' && /^[1-9]\d*$/.test(value ?? '')) env.MILLRACE_SOAK_TIMES = value
    else if (args[index] === '--seed' && /^-?\d+$/.test(value ?? '')) env.MILLRACE_SOAK_SEED = value
    else throw new UsageError(`cannot use ${args.slice(index).join(' ')}: say npm run soak -- ${name} [--times N] [--seed S]`)
  }
  return () => vitest(['--testTimeout=0', '--hookTimeout=0', files.get(name)], env)
}

function planLint(names) {
  const unknown = names.find((name) => !Object.hasOwn(CHECKS, name))
  if (unknown !== undefined) throw new UsageError(`no check is called ${unknown}: choose from ${Object.keys(CHECKS).join(' ')}`)
  return () => lint(names.length === 0 ? Object.keys(CHECKS) : names)
}

async function lint(names) {
  const failed = []
  for (const name of names) {
    if ((await check(name, CHECKS[name].args)) !== 0) failed.push(name)
  }
  if (failed.length > 0) process.stderr.write(`lint: failed: ${failed.join(' ')}\n`)
  return failed.length > 0 ? 1 : 0
}

async function fix() {
  let worst = 0
  // oxlint first: what it rewrites still has to be formatted.
  for (const name of ['lint', 'format', 'native']) worst = Math.max(worst, await check(name, CHECKS[name].fix))
  return Math.max(worst, await run(process.execPath, ['.ci/readme.mjs']))
}

async function check(name, args) {
  const start = performance.now()
  const code = name === 'native' ? await clangFormat(args) : await run(bin(CHECKS[name].command), args)
  process.stderr.write(`lint: ${name} ${code === 0 ? 'passed' : 'failed'} in ${((performance.now() - start) / 1000).toFixed(1)} s\n`)
  return code
}

/** The only tool here that npm does not bring: without it a developer is told, CI fails. */
async function clangFormat(args) {
  const sources = filesBelow('native', (path) => /^native\/[^/]+\.(cc|h)$/.test(path)).concat(
    filesBelow('bench', (path) => /\.[ch]$/.test(path)),
  )
  if (sources.length === 0) return 0
  try {
    return await run('clang-format', [...args, ...sources])
  } catch (error) {
    if (error.code !== 'ENOENT') throw error
    process.stderr.write('lint: clang-format is not installed, so C++ was not checked (Debian: apt-get install clang-format)\n')
    return process.env.CI ? 1 : 0
  }
}

/** An example runs in its own folder, so that its data stays there too. */
function planExample([name, ...args]) {
  const entries = filesBelow('examples', (path) => /^examples\/[^/]+\/(main|plant)\.js$/.test(path))
  choose('example', name, [...new Set(entries.map((path) => basename(dirname(path))))])
  const folder = join(root, 'examples', name)
  const command = existsSync(join(folder, 'main.js')) ? ['main.js'] : [join(root, 'dist/apps/cli/main.js'), 'up', 'plant.js']
  return () => run(process.execPath, [...command, ...args], { cwd: folder })
}

function choose(what, name, names) {
  if (name !== undefined && names.includes(name)) return
  const said = name === undefined ? `which ${what}?` : `no ${what} is called ${name}.`
  throw new UsageError(`${said} There are: ${names.join(' ') || 'none yet'}`)
}
