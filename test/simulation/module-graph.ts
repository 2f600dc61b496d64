import { readFileSync } from 'node:fs'

const IMPORT = /\bfrom '([^']+)'|\bimport\('([^']+)'\)|^import '([^']+)'/gm

/**
 * Which modules load which, from one of them on: so that a plant that lacks a rule needs new ones only of those that have to do with it. `resolve` gives the address
 * of what a module asks for, or undefined for what is not to be looked into.
 */
export class ModuleGraph {
  /** By module, those that load it. */
  readonly #importers = new Map<string, Set<string>>()

  constructor(first: string, resolve: (specifier: string, importer: string) => string | undefined) {
    const open = [first]
    for (let importer = open.pop(); importer !== undefined; importer = open.pop()) {
      for (const match of readFileSync(new URL(importer), 'utf8').matchAll(IMPORT)) {
        const address = resolve((match[1] ?? match[2] ?? match[3]) as string, importer)
        if (address === undefined) continue
        if (!this.#importers.has(address)) open.push(address)
        this.#add(address, importer)
      }
    }
  }

  /** The modules themselves, those that load them, those that load these, and so on. */
  dependentsOf(modules: readonly string[]): ReadonlySet<string> {
    const found = new Set(modules)
    for (const module of found) for (const importer of this.#importers.get(module) ?? []) found.add(importer)
    return found
  }

  #add(address: string, importer: string): void {
    const importers = this.#importers.get(address) ?? new Set()
    this.#importers.set(address, importers.add(importer))
  }
}
