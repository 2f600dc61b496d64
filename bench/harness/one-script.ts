import { readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'

/**
 * Joins compiled modules into one CommonJS script, which starts in little more than half the time that its modules take one by one. `resolve`
 * answers the path of the module that an import in `from` names, or undefined for one of Node's own; `read` its text. Knows the forms
 * of import and export that the compiler writes for this repository, and throws for any other. Modules that import each other in a circle
 * are not for it.
 */
export function oneScript(
  entry: string,
  resolve: (specifier: string, from: string) => string | undefined,
  read: (path: string) => string = (path) => readFileSync(path, 'utf8'),
): string {
  const order: string[] = []
  const bodies = new Map<string, string>()
  const visit = (path: string): void => {
    if (bodies.has(path)) return
    bodies.set(path, '')
    const reference = (specifier: string): string => {
      const target = resolve(specifier, path)
      if (target === undefined) return `require(${JSON.stringify(specifier)})`
      visit(target)
      return `modules[${JSON.stringify(target)}]`
    }
    bodies.set(path, bodyOf(read(path), path, reference))
    order.push(path)
  }
  visit(entry)
  const parts = order.map(
    (path) => `modules[${JSON.stringify(path)}] = (() => {\nconst exported = {};\n${bodies.get(path)}\nreturn exported;\n})();`,
  )
  return ["'use strict';", 'const moduleUrl = require("node:url").pathToFileURL(__filename).href;', 'const modules = {};', ...parts].join(
    '\n',
  )
}

/** For specifiers such as './ring.js' and '#bus/ring.js', with the sources of the latter in `roomFolder`. */
export function resolverIn(roomFolder: string): (specifier: string, from: string) => string | undefined {
  return (specifier, from) => {
    if (specifier.startsWith('#')) return join(roomFolder, specifier.slice(1))
    return specifier.startsWith('.') ? join(dirname(from), specifier) : undefined
  }
}

function bodyOf(text: string, path: string, reference: (specifier: string) => string): string {
  const exported: string[] = []
  const lines = text.split('\n').map((line) => {
    const named = /^(import|export) \{(.*)\} from ['"](.+)['"];$/.exec(line)
    if (named !== null) {
      const from = reference(named[3] as string)
      if (named[1] === 'import') return `const {${(named[2] as string).replaceAll(' as ', ': ')}} = ${from};`
      const names = (named[2] as string)
        .split(',')
        .filter((name) => name.trim() !== '')
        .map((name) => name.trim().split(' as '))
      return names.map(([own, other = own]) => `exported.${other} = ${from}.${own};`).join(' ')
    }
    const whole = /^import \* as (\w+) from ['"](.+)['"];$/.exec(line)
    if (whole !== null) return `const ${whole[1]} = ${reference(whole[2] as string)};`
    const own = /^export ((?:async )?function\*?|class|const) (\w+)/.exec(line)
    if (own !== null) {
      exported.push(own[2] as string)
      return line.slice('export '.length)
    }
    if (/^export \{\};$/.test(line)) return ''
    if (/^(?:import|export)\b/.test(line)) throw new Error(`${path} has an import or export of an unknown form: ${line}`)
    return line.replaceAll('import.meta.url', 'moduleUrl')
  })
  return `${lines.join('\n')}\n${exported.map((name) => `exported.${name} = ${name};`).join(' ')}`
}
