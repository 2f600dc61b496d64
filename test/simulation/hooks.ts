/**
 * Loader hooks of the simulation, run by Node in a thread of their own. What is loaded is the compiled code of the plant with two differences: below the
 * journal's adapter and the term counter lies a simulated disk, and with `?without=RULE` behind the address of a module it and all that it loads
 * are of a plant that lacks that rule.
 */
import { patchesOf } from './rules.js'

const HERE = new URL('.', import.meta.url).href
const ROOT = new URL('../../', import.meta.url).href
const SOURCES = new URL('src/', ROOT).href

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
  { file: 'journal/lmdb/environment.ts', specifier: 'lmdb' },
  { file: 'journal/lmdb/lmdb-journal.ts', specifier: './verify.js' },
]

interface Resolved {
  readonly url: string
  readonly shortCircuit?: boolean
}

interface Loaded {
  readonly format: string
  readonly source: string | Uint8Array
}

export async function resolve(
  specifier: string,
  context: { readonly parentURL?: string },
  next: (specifier: string, context: object) => Promise<Resolved>,
): Promise<Resolved> {
  const { parentURL = '' } = context
  const without = new URLSearchParams(parentURL.split('?')[1]).get('without')
  const importer = parentURL.startsWith(SOURCES) ? parentURL.slice(SOURCES.length) : ''
  const replaced = REPLACED.find((one) => one.specifier === specifier && one.importers.test(importer))
  const resolved = replaced === undefined ? await next(specifier, context) : { url: HERE + replaced.by, shortCircuit: true }
  const isOurs = resolved.url.startsWith(HERE) || resolved.url.startsWith(SOURCES)
  return without === null || !isOurs ? resolved : { ...resolved, url: `${resolved.url.split('?')[0]}?without=${without}` }
}

export async function load(url: string, context: object, next: (url: string, context: object) => Promise<Loaded>): Promise<Loaded> {
  const loaded = await next(url, context)
  const [address = '', query] = url.split('?')
  const without = new URLSearchParams(query).get('without')
  if (!address.startsWith(SOURCES)) return loaded
  const path = address.slice(SOURCES.length).replace(/\.js$/, '.ts')
  const patches = (patchesOf(without ?? '') ?? []).filter((patch) => patch.file === `src/${path}`)
  const eager = EAGER.filter((one) => one.file === path)
  if (patches.length === 0 && eager.length === 0) return loaded
  let source = typeof loaded.source === 'string' ? loaded.source : Buffer.from(loaded.source).toString('utf8')
  for (const { find, replace } of patches) {
    if (source.split(find).length !== 2) throw new Error(`the patch of rule ${without} does not fit ${path}: ${find}`)
    source = source.replace(find, () => replace)
  }
  for (const { specifier } of eager) source = `import * as eager from '${specifier}'\n${source.replace(`import('${specifier}')`, 'eager')}`
  return { ...loaded, source }
}
