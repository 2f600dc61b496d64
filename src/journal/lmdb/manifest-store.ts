import { MillraceError } from '#base/errors.js'
import { Damage } from '#journal/bytes.js'
import { encodeManifestEntry, type ManifestEntry, manifestHash, readManifest } from '#journal/segments/manifest.js'
import type { Catalog } from './catalog.js'

/** The manifest of a log (segments/manifest.ts), kept in its catalog. */
export class ManifestStore {
  readonly #catalog: Catalog
  readonly #entries: ManifestEntry[]
  #lastHash: Uint8Array
  /** Entries are stored one after the other, since each names the one before. */
  #storing: Promise<void> = Promise.resolve()

  private constructor(catalog: Catalog, entries: ManifestEntry[], lastHash: Uint8Array) {
    this.#catalog = catalog
    this.#entries = entries
    this.#lastHash = lastHash
  }

  /** Throws ERR_CATALOG_DAMAGED, ERR_FORMAT_NEWER. */
  static open(catalog: Catalog): ManifestStore {
    try {
      const { entries, lastHash } = readManifest(catalog.manifest())
      return new ManifestStore(catalog, entries, lastHash)
    } catch (error) {
      if (!(error instanceof Damage)) throw error
      throw new MillraceError('ERR_CATALOG_DAMAGED', {
        fact: `the manifest of the log is damaged, ${error.message}`,
        action: 'operator',
        values: { catalog: 'manifest' },
        next: 'run millrace log verify on the data directory, and restore the catalog from a backup',
        cause: error,
      })
    }
  }

  get entries(): readonly ManifestEntry[] {
    return this.#entries
  }

  /** Resolves when the entry is durable; from then on it is in force. */
  async append(entry: ManifestEntry): Promise<void> {
    const stored = this.#storing.then(async () => {
      const bytes = encodeManifestEntry(entry, this.#lastHash)
      await this.#catalog.saveManifestEntry(this.#entries.length, bytes)
      this.#lastHash = manifestHash(bytes)
      this.#entries.push(entry)
    })
    this.#storing = stored.catch(() => undefined)
    await stored
  }
}
