import { mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

export interface RecordFilesOptions {
  /** Made with mode 0700 where it is not there. */
  readonly directory: string
  /** Names without `.json`, whose alphabetical order is that of age. Other files are left alone. */
  readonly names: RegExp
  readonly filesKept: number
}

const SUFFIX = '.json'

/**
 * Records of a history, one file each, of which the newest are kept. Each appears as a whole; the last ones may be missing after a power loss, since nobody
 * should wait for a history. Errors of the file system come through as they are.
 */
export class RecordFiles {
  readonly #options: RecordFilesOptions

  constructor(options: RecordFilesOptions) {
    mkdirSync(options.directory, { recursive: true, mode: 0o700 })
    this.#options = options
  }

  /** Writes the record's file and drops the oldest beyond the bound. */
  add(name: string, record: object): void {
    const path = this.#pathOf(name)
    writeFileSync(`${path}.next`, `${JSON.stringify(record)}\n`, { mode: 0o600 })
    renameSync(`${path}.next`, path)
    for (const old of this.names().slice(0, -this.#options.filesKept)) rmSync(this.#pathOf(old), { force: true })
  }

  /** Oldest first. */
  names(): string[] {
    const found = readdirSync(this.#options.directory).flatMap((file) => (file.endsWith(SUFFIX) ? file.slice(0, -SUFFIX.length) : []))
    return found.filter((name) => this.#options.names.test(name)).sort()
  }

  /** Undefined for a file that is gone or is no JSON: somebody put it there. */
  read(name: string): unknown {
    try {
      return JSON.parse(readFileSync(this.#pathOf(name), 'utf8'))
    } catch {
      return undefined
    }
  }

  #pathOf(name: string): string {
    return join(this.#options.directory, `${name}${SUFFIX}`)
  }
}
