import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { MillraceError } from '#base/errors.js'
import { packageRoot } from '#runtime/package-root.js'

/**
 * Loads a package that only benchmarks need, from bench/rivals, which has a package.json and a lock file of its own. Installs them all when
 * the package is not there yet, and says so on stderr. Throws ERR_USAGE when that fails.
 */
export function loadRival(name: string): unknown {
  const folder = join(packageRoot(), 'bench', 'rivals')
  const require = createRequire(join(folder, 'package.json'))
  if (!existsSync(join(folder, 'node_modules', name))) {
    process.stderr.write(`installing the packages that are measured against into ${folder}\n`)
    const { status } = spawnSync('npm', ['install', '--no-save', '--no-audit', '--no-fund'], {
      cwd: folder,
      stdio: ['ignore', process.stderr, process.stderr],
    })
    if (status !== 0) {
      throw new MillraceError('ERR_USAGE', {
        fact: 'npm could not install what a benchmark is measured against',
        action: 'operator',
        values: { folder, name },
        next: 'run npm install in that folder and look at what it says',
      })
    }
  }
  return require(name)
}
