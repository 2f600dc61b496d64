import { execFileSync } from 'node:child_process'
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { availableParallelism, cpus, loadavg, totalmem } from 'node:os'
import { join } from 'node:path'
import { MillraceError } from '#base/errors.js'
import { packageRoot } from '#runtime/package-root.js'

/** A file of bench/results: one result with what it was measured on. The README's table is made from these. */
export interface SavedResult {
  readonly bench: string
  /** ISO 8601. */
  readonly date: string
  readonly commit: string
  /** True when the sources had changes that no commit has. */
  readonly isDirty: boolean
  readonly node: string
  readonly cpu: string
  readonly cores: number
  readonly memoryGiB: number
  /** What the system says of the minute before the end of the run, the run itself included: far above `cores` means that others worked too. */
  readonly loadAverage: number
  readonly note?: string
  readonly result: object
}

/** Writes bench/results/NAME.json over what was there and returns its path. Only in a clone: throws ERR_USAGE elsewhere. */
export function saveResult(name: string, result: object, note?: string): string {
  const root = packageRoot()
  if (!existsSync(join(root, '.git'))) {
    throw new MillraceError('ERR_USAGE', {
      fact: 'results are kept in a clone of the repository only',
      action: 'operator',
      values: { folder: root },
      next: 'leave out --save; --json prints the result for a file of your own',
    })
  }
  const saved: SavedResult = {
    bench: name,
    date: new Date().toISOString(),
    commit: git(root, 'rev-parse', 'HEAD'),
    isDirty: git(root, 'status', '--porcelain', '--', 'src', 'apps', 'bench', 'native', 'package-lock.json', ':!bench/results') !== '',
    node: process.version,
    cpu: cpuName(),
    cores: availableParallelism(),
    memoryGiB: Math.round(totalmem() / 2 ** 30),
    loadAverage: Math.round((loadavg()[0] as number) * 10) / 10,
    ...(note === undefined ? {} : { note }),
    result,
  }
  mkdirSync(join(root, 'bench', 'results'), { recursive: true })
  const path = join(root, 'bench', 'results', `${name}.json`)
  writeFileSync(path, `${JSON.stringify(saved, null, 2)}\n`)
  return path
}

function git(root: string, ...args: readonly string[]): string {
  return execFileSync('git', args, { cwd: root, encoding: 'utf8' }).trim()
}

/** Virtual machines often leave the model out of what Node reads. */
function cpuName(): string {
  const model = cpus()[0]?.model.trim() ?? ''
  if (model !== '' && model !== 'unknown') return model
  const line = existsSync('/proc/cpuinfo') ? /^(?:model name|vendor_id)\s*:\s*(.+)$/m.exec(readFileSync('/proc/cpuinfo', 'utf8')) : null
  return line?.[1] ?? process.arch
}
