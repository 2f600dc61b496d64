import { existsSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { isMillraceError, MillraceError, messageOf } from '#base/errors.js'
import { SHARD_COUNT_DEFAULT } from '#base/ids.js'
import type { EntityHead, EventType, Finding } from '#journal/journal.js'
import { LogState } from '#journal/log-state.js'
import { planOpening } from '#journal/segments/opening-plan.js'
import type { ManifestEntry } from '#journal/segments/manifest.js'
import { Catalog } from './catalog.js'
import { logPaths, noJournal, readFormat } from './directory.js'
import { DATA_FILE, fileBytes } from './environment.js'
import { loadHeads } from './heads-checkpoint.js'
import { ManifestStore } from './manifest-store.js'
import { noteIn } from './pending-repair.js'
import { PlainDatabase } from './plain-database.js'
import { SealedSegment } from './sealed-segment.js'
import { Segment } from './segment.js'
import { type UnsealedToVerify, verifyLog } from './verify.js'

/**
 * Verifies the log in a directory from its files alone, whatever state they are in: also where it cannot be opened. No journal may have it open for writing.
 * Throws ERR_NO_JOURNAL where there is none.
 */
export async function* verifyFiles(directory: string, progress?: (done: number, total: number) => void): AsyncGenerator<Finding> {
  const paths = logPaths(directory)
  if (!existsSync(paths.format) && !existsSync(paths.log) && !existsSync(paths.catalog)) throw noJournal(directory)
  const opened: { close(): Promise<void> | void }[] = []
  try {
    const { findings, shardCount } = checkFormat(directory)
    yield* findings
    if (existsSync(noteIn(directory))) yield damaged('log', 'a repair of it was not finished')
    const catalogFile = join(paths.catalog, DATA_FILE)
    const catalog = attempt('catalog', () => new PlainDatabase(catalogFile))
    const known: Known = { types: [], heads: [], manifest: [] }
    if ('finding' in catalog) yield catalog.finding
    else {
      opened.push(catalog.value)
      yield* readCatalog(catalog.value, catalogFile, shardCount, known)
    }
    const names = existsSync(paths.log) ? readdirSync(paths.log) : []
    const plan = planOpening(names, known.manifest)
    for (const name of plan.missing) yield damaged(name, 'it is missing')
    const sealed = plan.sealed
      .filter(({ segment }) => names.includes(segment))
      .map((entry) => new SealedSegment(entry, join(paths.log, entry.segment)))
    opened.push(...sealed)
    const unsealed: UnsealedToVerify[] = []
    for (const name of plan.unsealed) {
      const file = join(paths.log, name, DATA_FILE)
      const database = attempt(name, () => new PlainDatabase(file))
      if ('finding' in database) {
        yield database.finding
        continue
      }
      opened.push(database.value)
      unsealed.push({ segment: new Segment(name, database.value, file), wrong: database.value.wrong, fileBytes: fileBytes(file) })
    }
    if (plan.unsealed.length === 0 && known.types.length > 0) yield damaged('log', 'the segment that was being written is missing')
    yield* verifyLog({ ...known, firstPosition: plan.firstPosition, sealed, unsealed, progress })
  } finally {
    for (const one of opened) await one.close()
  }
}

interface Known {
  types: readonly EventType[]
  heads: readonly EntityHead[]
  manifest: readonly ManifestEntry[]
}

function* readCatalog(database: PlainDatabase, file: string, shardCount: number, known: Known): Generator<Finding> {
  if (database.wrong !== undefined) yield damaged('catalog', `its index cannot be trusted, since ${database.wrong}`)
  const catalog = new Catalog(database, file)
  yield* catalog.findings()
  const types = attempt('catalog', () => catalog.eventTypes())
  if ('value' in types) known.types = types.value
  else yield types.finding
  const manifest = attempt('catalog', () => ManifestStore.open(catalog).entries)
  if ('value' in manifest) known.manifest = manifest.value
  else yield manifest.finding
  const heads = attempt('catalog', () => headsOf(catalog, shardCount))
  if ('value' in heads) known.heads = heads.value
}

function headsOf(catalog: Catalog, shardCount: number): EntityHead[] {
  const saved = new LogState(shardCount, 1)
  loadHeads(catalog, saved)
  return Array.from({ length: shardCount }, (_, shard) => [...saved.entities.heads(shard)]).flat()
}

function checkFormat(directory: string): { readonly findings: Finding[]; readonly shardCount: number } {
  try {
    const format = readFormat(directory)
    if (format !== undefined) return { findings: [], shardCount: format.shardCount }
    return { findings: [damaged('format.json', 'it is missing, though there is a log')], shardCount: SHARD_COUNT_DEFAULT }
  } catch (error) {
    return { findings: [damaged('format.json', messageOf(error))], shardCount: SHARD_COUNT_DEFAULT }
  }
}

/** What the environment cannot give becomes a finding. */
function attempt<T>(segment: string, work: () => T): { readonly value: T } | { readonly finding: Finding } {
  try {
    return { value: work() }
  } catch (error) {
    if (!(error instanceof MillraceError) && !isSystemError(error)) throw error
    return { finding: damaged(segment, isMillraceError(error) ? messageOf(error) : `it cannot be read, since ${messageOf(error)}`) }
  }
}

function isSystemError(error: unknown): boolean {
  return error instanceof Error && typeof (error as NodeJS.ErrnoException).syscall === 'string'
}

function damaged(segment: string, what: string): Finding {
  return { severity: 'damaged', segment, block: undefined, what, entities: [] }
}
