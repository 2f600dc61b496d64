import { spawnSync } from 'node:child_process'
import { readdirSync, readFileSync } from 'node:fs'
import { join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'

export const root = fileURLToPath(new URL('../..', import.meta.url))

export interface Compiled {
  /** `file:line`, relative to the repository, of everything that does not compile; sorted, each once. */
  readonly errorLines: readonly string[]
  /** What the compiler printed. */
  readonly said: string
  readonly seconds: number
}

/** Runs the compiler of this repository on a project. */
export function compile(project: string, ...options: readonly string[]): Compiled {
  const begun = performance.now()
  // Other tests need the other cores, and in one thread the compiler does nothing twice.
  const args = ['-p', project, '--pretty', 'false', '--singleThreaded', ...options]
  const { stdout, stderr, error } = spawnSync(join(root, 'node_modules/.bin/tsc'), args, { cwd: root, encoding: 'utf8' })
  const seconds = (performance.now() - begun) / 1000
  if (error !== undefined) throw error
  const places = [...stdout.matchAll(/^(\S.*?)\((\d+),\d+\): error /gm)].map(([, file, line]) => `${file}:${line}`)
  return { errorLines: [...new Set(places)].sort(byPlace), said: stdout + stderr, seconds }
}

/** `file:line` of each line of the project's sources that ends in `// error`. */
export function markedLines(project: string): string[] {
  const files = readdirSync(project).filter((name) => name.endsWith('.ts'))
  const marked = files.flatMap((name) => {
    const lines = readFileSync(join(project, name), 'utf8').split('\n')
    return lines.flatMap((line, index) => (line.endsWith('// error') ? [`${relative(root, join(project, name))}:${index + 1}`] : []))
  })
  return marked.sort(byPlace)
}

function byPlace(one: string, other: string): number {
  return one.localeCompare(other, 'en', { numeric: true })
}
