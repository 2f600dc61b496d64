import { closeSync, existsSync, fsyncSync, linkSync, mkdirSync, openSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { MillraceError } from '#base/errors.js'
import { crc32 } from '#base/hash.js'
import type { FencedEntry } from '#journal/segments/manifest.js'
import { type Catalog, KIND_HEADS, KIND_MARKS } from './catalog.js'
import { logPaths } from './directory.js'
import { DATA_FILE, type Database, syncDirectory } from './environment.js'
import { freeName, type GoneRows } from './gone-rows.js'
import { ManifestStore } from './manifest-store.js'
import { onDisk, type RepairStep } from './repair-disk.js'

/**
 * A repair of segments that are not sealed, once their new files are whole and durable under the names of drafts. It takes several steps from there on, which are all done or
 * none: it is noted in `repair.json` beside `format.json`, and whoever opens the log for writing next finishes it before anything else.
 *
 *   {"check": CRC-32 of the rest as JSON, 8 hex digits, "rewritten": names, "gone": what the manifest is to tell}
 */
export interface PendingRepair {
  /** Names of segments, each with a draft behind which the old file goes to the attic. */
  readonly rewritten: readonly string[]
  readonly gone: readonly GoneRows[]
}

/** Beside the log: files as they were before repair. */
export const ATTIC = 'damaged'

/** Notes a repair. From then on it counts. */
export async function decideRepair(directory: string, { rewritten, gone }: PendingRepair): Promise<void> {
  const path = noteIn(directory)
  const note = { rewritten, gone }
  await onDisk(path, () => {
    const draft = `${path}.new`
    writeFileSync(draft, JSON.stringify({ check: checkOf(note), ...note }), { mode: 0o600 })
    const descriptor = openSync(draft, 'r+')
    fsyncSync(descriptor)
    closeSync(descriptor)
    renameSync(draft, path)
    syncDirectory(directory)
  })
}

/** The repair that something ended on the way. Throws ERR_REPAIR_UNFINISHED when its note is damaged. */
export function pendingRepair(directory: string): PendingRepair | undefined {
  const path = noteIn(directory)
  if (!existsSync(path)) return undefined
  try {
    const { check, ...note } = JSON.parse(readFileSync(path, 'utf8')) as PendingRepair & { check: string }
    if (check === checkOf(note)) return note
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error
  }
  throw new MillraceError('ERR_REPAIR_UNFINISHED', {
    fact: 'a repair of the log was not finished, and what was noted of it is damaged',
    action: 'operator',
    values: { file: path },
    next: 'restore the data directory from a backup',
  })
}

/** Why a log is not read as it lies there. */
export function repairUnfinished(directory: string): MillraceError {
  return new MillraceError('ERR_REPAIR_UNFINISHED', {
    fact: 'a repair of the log was not finished',
    action: 'operator',
    values: { directory },
    next: 'run millrace log repair again, or start the plant: either finishes it',
  })
}

/** Does what is left of a repair that was decided; nothing when there is none. Each step may be done already. Throws ERR_DISK_FULL, ERR_REPAIR_DISK; then it stays to be finished. */
export async function finishRepair(
  directory: string,
  database: Database,
  catalog: Catalog,
  onStep: (step: RepairStep) => void = () => undefined,
): Promise<void> {
  const pending = pendingRepair(directory)
  if (pending === undefined) return
  await onDisk(join(logPaths(directory).catalog, DATA_FILE), async () => {
    // Of the log as it was: numbers of entities may have changed.
    const range = { start: Uint8Array.of(KIND_HEADS), end: Uint8Array.of(KIND_MARKS + 1) }
    for (const key of [...database.getKeys(range)].map((one) => new Uint8Array(one))) await database.remove(key)
    onStep('forgotten')
    const manifest = ManifestStore.open(catalog)
    const told = new Set(manifest.entries.map((entry) => JSON.stringify(entry)))
    for (const entry of pending.gone.map(fencedEntry)) if (!told.has(JSON.stringify(entry))) await manifest.append(entry)
    onStep('told')
  })
  for (const name of pending.rewritten) await swap(directory, name, onStep)
  const note = noteIn(directory)
  await onDisk(note, () => {
    rmSync(note)
    syncDirectory(directory)
    onStep('over')
  })
}

/** Puts the file of a draft in the place of the damaged one, which gets a name in the attic before. */
async function swap(directory: string, name: string, onStep: (step: RepairStep) => void): Promise<void> {
  const { log } = logPaths(directory)
  const attic = join(directory, ATTIC)
  const [file, draft] = [join(log, name, DATA_FILE), join(log, `${name}.new`)]
  await onDisk(file, () => {
    if (existsSync(join(draft, DATA_FILE))) {
      const kept = freeName(join(attic, name))
      mkdirSync(kept, { recursive: true, mode: 0o700 })
      linkSync(file, join(kept, DATA_FILE))
      for (const path of [kept, attic, directory]) syncDirectory(path)
      renameSync(join(draft, DATA_FILE), file)
      syncDirectory(join(log, name))
      onStep('swapped')
    }
    rmSync(draft, { recursive: true, force: true })
    syncDirectory(log)
  })
}

function fencedEntry({ segment, firstPosition, endPosition, entities }: GoneRows): FencedEntry {
  const rowCount = endPosition - firstPosition
  return { kind: 'fenced', segment, block: firstPosition, firstPosition, endPosition, rowCount, entities }
}

/** Where a repair is noted until it is finished. */
export function noteIn(directory: string): string {
  return join(directory, 'repair.json')
}

function checkOf(note: PendingRepair): string {
  return crc32(Buffer.from(JSON.stringify(note)))
    .toString(16)
    .padStart(8, '0')
}
