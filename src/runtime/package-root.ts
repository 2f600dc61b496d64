import { existsSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { assert } from '#base/assert.js'

/** The folder of the package that this file belongs to, with its config/ and dist/: the same for sources and for what is compiled. */
export function packageRoot(): string {
  let folder = dirname(fileURLToPath(import.meta.url))
  while (!existsSync(join(folder, 'config', 'default.yaml'))) {
    const parent = dirname(folder)
    assert(parent !== folder, 'the package has config/default.yaml')
    folder = parent
  }
  return folder
}

export function packageVersion(): string {
  const { version } = JSON.parse(readFileSync(join(packageRoot(), 'package.json'), 'utf8')) as { version: string }
  return version
}

/** Compiled JavaScript of a program under apps/, which other processes are started with: also when this code runs from its sources. */
export function programEntry(program: string, file = 'main'): string {
  return join(packageRoot(), 'dist', 'apps', program, `${file}.js`)
}
