import { existsSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, dirname, join } from 'node:path'
import { packageRoot } from '#runtime/package-root.js'
import { oneScript, resolverIn } from './one-script.js'

/** A store to memory in src/bus: a process can be killed right after it. */
export interface StepSite {
  /** Index into the sites of the build, which the hook is called with. */
  readonly site: number
  /** Name of the compiled file without its extension. */
  readonly file: string
  /** The function or method around it. */
  readonly within: string
  /** The line of compiled code, without its indentation. */
  readonly text: string
}

/** A copy of the compiled bus in which every store is a step; see `createStepBuild`. */
export interface StepBuild {
  readonly sites: readonly StepSite[]
  /** Path of the program, one script. */
  readonly program: string
  remove(): void
}

/** What the copy's bus calls; a program in the copy finds it as `globalThis.millraceSteps`. */
export interface Steps {
  /** Called after every store with its site. */
  hook: ((site: number) => void) | undefined
}

/** What an end of a channel loads of the bus; the rest, such as taps, belongs to other processes. */
const ENTRY = 'open-channel.js'
const ATOMIC_STORES = /\bAtomics\.(store|exchange|or|and|xor|add|sub|compareExchange)\(/g
/** Stores of many bytes at once, and those of a DataView. */
const BULK_STORES = /[\w\])]\.(?:set|fill|copyWithin|set(?:Int|Uint|Float|Big)\w+)\([^;]*\);$/
/** The first line of a function, or of a method. */
const FUNCTION = /^(?:export )?(?:async )?function (\w+)|^ {4}(?:static |async |get )*(#?\w+)\(.*\{$/
const ASSIGNMENT = /\]\s*(?:[-+*/%&|^]|<<|>>>?|\*\*)?=(?![=>])/

/**
 * Makes a script of the named program of bench/harness, the compiled base, shm and bus, in a folder of its own, with a call of the hook after every
 * store in the bus: each Atomics operation that writes, each assignment to an element, each `set` and `fill`. The sites are found by
 * pattern in what the compiler wrote, one statement per line, so that a new store becomes a site by itself. Needs dist/.
 */
export function createStepBuild(name: string): StepBuild {
  const dist = join(packageRoot(), 'dist')
  const rooms = join(dist, 'src')
  const bus = join(rooms, 'bus')
  const steps = join(rooms, 'base', 'steps.js')
  const ends = loadedBy(bus, ENTRY)
  const sites: StepSite[] = []
  const script = oneScript(join(dist, 'bench', 'harness', `${name}.js`), resolverIn(rooms), (path) => {
    if (path === steps) return STEPS_MODULE
    const text = readFileSync(path, 'utf8')
    return dirname(path) === bus && ends.has(basename(path)) ? instrument(text, basename(path, '.js'), sites) : text
  })
  const folder = mkdtempSync(join(existsSync('/dev/shm') ? '/dev/shm' : tmpdir(), `millrace-steps-${process.pid}-`))
  const program = join(folder, `${name}.cjs`)
  writeFileSync(program, script)
  writeFileSync(join(folder, 'package.json'), JSON.stringify({ name: 'millrace' }))
  symlinkSync(join(packageRoot(), 'native'), join(folder, 'native'))
  return { sites, program, remove: () => rmSync(folder, { recursive: true, force: true }) }
}

/** The files of one folder that come with `entry`. */
function loadedBy(folder: string, entry: string, seen = new Set<string>()): ReadonlySet<string> {
  if (seen.has(entry)) return seen
  seen.add(entry)
  for (const [, imported] of readFileSync(join(folder, entry), 'utf8').matchAll(/ from '\.\/([\w-]+\.js)'/g))
    loadedBy(folder, imported as string, seen)
  return seen
}

/** Adds the sites of one compiled file to `sites` and answers its text with the steps in it. Throws for a store that it cannot put a step behind. */
export function instrument(text: string, file: string, sites: StepSite[]): string {
  const first = sites.length
  let within = ''
  const newSite = (line: string): number => sites.push({ site: sites.length, file, within, text: line.trim() }) - 1
  const lines = text.split('\n').map((line) => {
    within = nameOf(line) ?? within
    if (/^\s*(?:\/\/|\*|\/\*)/.test(line)) return line
    const stepped = line.replace(ATOMIC_STORES, (_call, operation: string) => `millraceAtomics.${operation}(${newSite(line)}, `)
    if (!isPlainStore(line)) return stepped
    if (!line.endsWith(';')) throw new Error(`a store of ${file} does not end with its line: ${line.trim()}`)
    // A comma, not a statement of its own: the store may be all that an `if` without braces governs.
    return `${stepped.slice(0, -1)}, millraceStep(${newSite(line)});`
  })
  if (sites.length === first) return text
  return `import { millraceAtomics, millraceStep } from '#base/steps.js';\n${lines.join('\n')}`
}

function nameOf(line: string): string | undefined {
  const match = FUNCTION.exec(line)
  return match?.[1] ?? match?.[2]
}

/** Whether the line assigns to an element, and not to a pattern in brackets, or stores in bulk. */
function isPlainStore(line: string): boolean {
  if (BULK_STORES.test(line) && !/^\s*(?:return|const|let)\b/.test(line)) return true
  const assignment = ASSIGNMENT.exec(line)
  if (assignment === null) return false
  let depth = 0
  for (let index = assignment.index; index >= 0; index--) {
    if (line[index] === ']') depth++
    if (line[index] === '[' && --depth === 0) return /[\w)\]]/.test(line[index - 1] ?? ' ')
  }
  return false
}

const STEPS_MODULE = `
const steps = (globalThis.millraceSteps = { hook: undefined });
export function millraceStep(site) {
    if (steps.hook !== undefined) steps.hook(site);
}
function stepped(operation) {
    return (site, ...operands) => {
        const before = operation(...operands);
        millraceStep(site);
        return before;
    };
}
export const millraceAtomics = {
    store: stepped(Atomics.store),
    exchange: stepped(Atomics.exchange),
    or: stepped(Atomics.or),
    and: stepped(Atomics.and),
    xor: stepped(Atomics.xor),
    add: stepped(Atomics.add),
    sub: stepped(Atomics.sub),
    compareExchange: stepped(Atomics.compareExchange),
};
`
