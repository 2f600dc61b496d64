import { spawn } from 'node:child_process'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { MillraceError } from '#base/errors.js'
import { packageRoot } from '#runtime/package-root.js'
import type { Run } from './command.js'
import { INTERRUPTED, onInterrupt } from './signals.js'

/** Runs a program of dist/bench in a process of its own, with the options that follow its name. Short names do: `rtt` for `bus-rtt`. */
export const runBench: Run = async ([name, ...rest], _options, output) => {
  const folder = join(packageRoot(), 'dist', 'bench')
  const names = readdirSync(folder, { withFileTypes: true }).flatMap((entry) =>
    entry.isFile() && entry.name.endsWith('.js') ? [entry.name.slice(0, -3)] : [],
  )
  if (name === undefined || name.startsWith('-')) {
    const known = names.map((each) => ({ name: each, question: questionOf(join(folder, `${each}.js`)) }))
    if (output.isJson) output.json({ benches: known })
    else
      output.table(
        [{ title: 'bench' }, { title: 'question' }],
        known.map(({ name: each, question }) => [each, question]),
      )
    return 0
  }
  const found = names.includes(name) ? [name] : names.filter((known) => known.endsWith(`-${name}`))
  if (found.length !== 1) {
    throw new MillraceError('ERR_USAGE', {
      fact: 'no such benchmark',
      action: 'operator',
      values: { name },
      next: `one of ${(found.length > 1 ? found : names).join(', ')}`,
    })
  }
  if (process.stderr.isTTY) output.note('measuring; --smoke takes seconds where this takes up to some minutes')
  return runNode([join(folder, `${found[0]}.js`), ...rest])
}

/** What the header of every benchmark begins with. */
function questionOf(path: string): string {
  const header = /\/\*\*\s([\s\S]*?\?)/.exec(readFileSync(path, 'utf8'))?.[1] ?? ''
  return header
    .replaceAll(/\s*\n \* /g, ' ')
    .trim()
    .replace(/^\* /, '')
}

/** Ends together with its child: a benchmark that spins must not outlive the one who asked for it. */
function runNode(args: readonly string[]): Promise<number> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, args, { stdio: 'inherit' })
    const onTerminate = (): void => void child.kill('SIGTERM')
    onInterrupt(() => void child.kill('SIGINT'))
    process.once('SIGTERM', onTerminate)
    child.once('error', reject)
    child.once('exit', (code, signal) => {
      process.off('SIGTERM', onTerminate)
      resolve(code ?? (signal === 'SIGINT' ? INTERRUPTED : 1))
    })
  })
}
