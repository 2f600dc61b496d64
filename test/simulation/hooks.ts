/**
 * Loader hooks of the simulation, run by Node in a thread of their own. What is loaded is the compiled code of the plant with two differences: below the
 * journal's adapter and the term counter lies a simulated disk, and with `?without=RULE` behind the address of run-schedule.js what that loads is of a plant
 * that lacks the rule.
 */
import { ModuleGraph } from './module-graph.js'
import { patchesOf } from './rules.js'

const HERE = new URL('.', import.meta.url).href
const SOURCES = new URL('../../src/', import.meta.url).href

/** By importer: what it gets instead of what it asks for. */
const REPLACED: readonly { readonly importers: RegExp; readonly specifier: string; readonly by: string }[] = [
  {
    importers: /^(journal\/lmdb\/(directory|environment|log-segments|open-lmdb-journal)|processes\/(term-counter|durable-file))\.js/,
    specifier: 'node:fs',
    by: 'simulated-fs.js',
  },
  { importers: /^journal\/lmdb\/environment\.js/, specifier: 'lmdb', by: 'simulated-lmdb.js' },
  { importers: /^journal\/lmdb\/environment\.js/, specifier: './page-check.js', by: 'simulated-pages.js' },
]

/** What is loaded when it is first needed would each time be asked for in the thread of these hooks. */
const EAGER = [
  { path: 'journal/lmdb/environment.js', specifier: 'lmdb' },
  { path: 'journal/lmdb/lmdb-journal.js', specifier: './verify.js' },
]

interface Resolved {
  readonly url: string
  readonly shortCircuit?: boolean
}

interface Loaded {
  readonly format: string
  readonly source: string | Uint8Array
}

let graph: ModuleGraph | undefined
const changed = new Map<string, ReadonlySet<string>>()

export async function resolve(
  specifier: string,
  context: { readonly parentURL?: string },
  next: (specifier: string, context: object) => Promise<Resolved>,
): Promise<Resolved> {
  const [importer = '', query] = (context.parentURL ?? '').split('?')
  const replaced = replacedBy(specifier, importer)
  const resolved = replaced === undefined ? await next(specifier, context) : { url: replaced, shortCircuit: true }
  const without = ruleIn(query)
  if (without === null || !changedWithout(without).has(resolved.url)) return resolved
  return { ...resolved, url: `${resolved.url}?without=${without}` }
}

export async function load(url: string, context: object, next: (url: string, context: object) => Promise<Loaded>): Promise<Loaded> {
  const loaded = await next(url, context)
  const [address = '', query] = url.split('?')
  if (!address.startsWith(SOURCES)) return loaded
  const path = address.slice(SOURCES.length)
  const without = ruleIn(query) ?? ''
  const patches = patchesOf(without).filter(({ file }) => addressOf(file) === address)
  const eager = EAGER.filter((one) => one.path === path)
  if (patches.length === 0 && eager.length === 0) return loaded
  let source = typeof loaded.source === 'string' ? loaded.source : Buffer.from(loaded.source).toString('utf8')
  for (const { find, replace } of patches) {
    if (source.split(find).length !== 2) throw new Error(`the patch of rule ${without} does not fit ${path}: ${find}`)
    source = source.replace(find, () => replace)
  }
  for (const { specifier } of eager) {
    source = `import * as eager from '${specifier}'\n${source.replace(`import('${specifier}')`, 'eager')}`
  }
  return { ...loaded, source }
}

function ruleIn(query: string | undefined): string | null {
  return new URLSearchParams(query).get('without')
}

function replacedBy(specifier: string, importer: string): string | undefined {
  if (!importer.startsWith(SOURCES)) return undefined
  const path = importer.slice(SOURCES.length)
  const replaced = REPLACED.find((one) => one.specifier === specifier && one.importers.test(path))
  return replaced === undefined ? undefined : HERE + replaced.by
}

/** The modules that are others without a rule: those that have its patches, and those that load them. */
function changedWithout(rule: string): ReadonlySet<string> {
  let found = changed.get(rule)
  if (found !== undefined) return found
  graph ??= new ModuleGraph(`${HERE}run-schedule.js`, (specifier, importer) => {
    if (specifier.startsWith('#')) return SOURCES + specifier.slice(1)
    return replacedBy(specifier, importer) ?? (specifier.startsWith('.') ? new URL(specifier, importer).href : undefined)
  })
  found = graph.dependentsOf(patchesOf(rule).map(({ file }) => addressOf(file)))
  changed.set(rule, found)
  return found
}

/** Of the module that a source is compiled to. */
function addressOf(file: string): string {
  return new URL(`../../${file.replace(/\.ts$/, '.js')}`, HERE).href
}
