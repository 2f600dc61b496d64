import { fileURLToPath } from 'node:url'

/**
 * Path of a module of bench/ as compiled JavaScript, for a process to be started with: beside this file when that is compiled, else (under
 * vitest) in dist.
 */
export function compiledPath(name: string): string {
  const isCompiled = import.meta.url.endsWith('.js')
  return fileURLToPath(new URL(isCompiled ? `../${name}.js` : `../../dist/bench/${name}.js`, import.meta.url))
}

/** Path of a source file of bench/, which is not compiled: in a clone and in an installed package. */
export function sourcePath(name: string): string {
  const isCompiled = import.meta.url.endsWith('.js')
  return fileURLToPath(new URL(isCompiled ? `../../../bench/${name}` : `../${name}`, import.meta.url))
}
