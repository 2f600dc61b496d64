/** The rooms of src/ and what each may import: the data that tidy.test.ts checks the sources against. */
export interface Rooms {
  /**
   * Room → what it may import, by longest match: a room's name stands for the files right inside it, `room/inner` for an inner folder,
   * `*` for all of src. A room may always import itself.
   */
  readonly imports: Readonly<Record<string, readonly string[]>>
  /** Package or built-in module → the path prefixes that may import it. What is not named is free. */
  readonly modules: Readonly<Record<string, readonly string[]>>
  /** Path prefixes that may load the native addon. */
  readonly addon: readonly string[]
}

export interface Source {
  /** Relative to the root, with slashes. */
  readonly path: string
  readonly text: string
}

/** One thing that is against the rules, as `path: what`. */
export type TidyFinding = string

/** What each source imports that its room must not. Sources outside src/ and apps/ are only checked for modules and the addon. */
export function checkImports(sources: readonly Source[], rooms: Rooms): TidyFinding[] {
  return sources.flatMap((source) => {
    const findings = importsOf(source.text).flatMap((specifier) => checkImport(source.path, specifier, rooms) ?? [])
    if (loadsAddon(source.text) && !startsWithOne(source.path, rooms.addon)) findings.push('loads the native addon')
    return findings.map((what) => `${source.path}: ${what}`)
  })
}

/** The specifiers of a source's import and export statements, static and dynamic, in order; those in comments are left out. */
export function importsOf(text: string): string[] {
  const code = text.replace(/\/\*[\s\S]*?\*\//g, '').replace(/^\s*\/\/.*$/gm, '')
  const statement =
    /^\s*(?:import|export)\b[^'"`;=()]*?\bfrom\s*['"]([^'"]+)['"]|^\s*import\s*['"]([^'"]+)['"]|\bimport\(\s*['"]([^'"]+)['"]/gm
  return [...code.matchAll(statement)].map((match) => match[1] ?? match[2] ?? match[3] ?? '')
}

function checkImport(path: string, specifier: string, rooms: Rooms): TidyFinding | undefined {
  if (specifier.startsWith('#')) return checkRoomImport(path, specifier, rooms)
  if (specifier.startsWith('.')) return checkRelativeImport(path, specifier)
  const allowed = rooms.modules[specifier.replace(/^node:/, '')]
  return allowed === undefined || startsWithOne(path, allowed) ? undefined : `must not import ${specifier}`
}

function checkRoomImport(path: string, specifier: string, rooms: Rooms): TidyFinding | undefined {
  const from = roomOf(path, rooms)
  if (from === undefined) return path.startsWith('src/') || path.startsWith('apps/') ? `is in no room of the table` : undefined
  const to = roomOf(`src/${specifier.slice(1).replace(/\.js$/, '.ts')}`, rooms)
  if (to === undefined) return `imports ${specifier}, which is in no room of the table`
  const allowed = rooms.imports[from] ?? []
  return to === from || allowed.includes(to) || allowed.includes('*')
    ? undefined
    : `must not import ${specifier}: ${from} may not know ${to}`
}

function checkRelativeImport(path: string, specifier: string): TidyFinding | undefined {
  if (path.startsWith('src/')) {
    // An entry lies right in src/ and has no room of its own, so every import of a room crosses a folder.
    return /^\.\/[^/]+$/.test(specifier) ? undefined : `imports ${specifier} across folders: say #room/file.js`
  }
  if (!path.startsWith('apps/')) return undefined
  const target = new URL(specifier, `file:///${path}`).pathname.slice(1)
  const app = path.split('/').slice(0, 2).join('/')
  return target.startsWith(`${app}/`) ? undefined : `imports ${specifier}, which leaves ${app}`
}

/** `src/journal/lmdb/x.ts` → `journal/lmdb` when the table has it, else `journal`; an entry such as `src/index.ts` is a room by its own name. */
function roomOf(path: string, rooms: Rooms): string | undefined {
  const parts = path.startsWith('src/') ? path.slice('src/'.length).split('/') : path.split('/')
  for (let length = parts.length; length > 0; length--) {
    const room = parts.slice(0, length).join('/')
    if (Object.hasOwn(rooms.imports, room)) return room
  }
  return undefined
}

function loadsAddon(text: string): boolean {
  return /\bprocess\.dlopen\b|['"`][^'"`\n]*\.node['"`]|native\/(?:build|prebuilds)\b/.test(text)
}

function startsWithOne(path: string, prefixes: readonly string[]): boolean {
  return prefixes.some((prefix) => path.startsWith(prefix))
}
