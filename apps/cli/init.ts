import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { basename, dirname, join, relative, resolve } from 'node:path'
import { MillraceError } from '#base/errors.js'
import { packageRoot, packageVersion } from '#runtime/package-root.js'
import type { Run } from './command.js'
import { scaffold } from './init-files.js'

/**
 * Writes a plant that runs, into a new or an empty folder. Throws ERR_INIT_FOLDER for one that is not empty, so that nothing of anybody's is ever
 * overwritten.
 */
export const runInit: Run = async ([target = ''], _options, output) => {
  const folder = resolve(target)
  const name = packageNameOf(basename(folder))
  refuseUnlessEmpty(folder)
  const files = scaffold({ name, millrace: dependency() })
  mkdirSync(folder, { recursive: true })
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(dirname(join(folder, path)), { recursive: true })
    writeFileSync(join(folder, path), text, { flag: 'wx' })
  }
  if (output.isJson) {
    output.json({ folder, files: Object.keys(files) })
    return 0
  }
  output.line(folder)
  for (const path of Object.keys(files)) output.line(`  ${path}`)
  const way = relative(process.cwd(), folder)
  const enter = way === '' ? '' : `  cd ${way.startsWith('..') ? folder : way}\n`
  output.line(`\nNext:\n${enter}  npm install\n  npm test\n  npx millrace up plant.js`)
  return 0
}

function refuseUnlessEmpty(folder: string): void {
  if (!existsSync(folder)) return
  let names: string[]
  try {
    names = readdirSync(folder)
  } catch (cause) {
    throw new MillraceError('ERR_INIT_FOLDER', {
      fact: 'not a folder',
      action: 'operator',
      values: { folder },
      next: 'name a new one',
      cause,
    })
  }
  if (names.length === 0) return
  throw new MillraceError('ERR_INIT_FOLDER', {
    fact: 'the folder is not empty',
    action: 'operator',
    values: { folder, has: names.slice(0, 3).join(', ') },
    next: 'name a new one, or empty this one first',
  })
}

/** npm allows lower-case letters, digits and dashes without a fuss. */
function packageNameOf(folderName: string): string {
  const name = folderName
    .toLowerCase()
    .replaceAll(/[^a-z0-9]+/g, '-')
    .replaceAll(/^-+|-+$/g, '')
  return name === '' || name === 'millrace' ? 'my-plant' : name
}

/**
 * What the plant depends on: the tarball when this package was installed from one, the folder when it is a clone, else the version. So the
 * plant gets the very Millrace that made it.
 */
function dependency(): string {
  const root = packageRoot()
  const project = join(root, '..', '..')
  if (basename(dirname(root)) !== 'node_modules') return `file:${root}`
  if (!existsSync(join(project, 'package.json'))) return `^${packageVersion()}`
  const manifest = JSON.parse(readFileSync(join(project, 'package.json'), 'utf8')) as {
    dependencies?: Record<string, string>
    devDependencies?: Record<string, string>
  }
  const wanted = manifest.dependencies?.['millrace'] ?? manifest.devDependencies?.['millrace']
  return wanted?.startsWith('file:') === true ? `file:${resolve(project, wanted.slice('file:'.length))}` : `^${packageVersion()}`
}
