import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { EventTypes } from '#journal/event-types.js'
import type { Finding } from '#journal/journal.js'
import { LogState } from '#journal/log-state.js'
import { planOpening } from '#journal/segments/opening-plan.js'
import { Catalog, KIND_CHECKPOINT, KIND_HEADS, KIND_MARKS, KIND_SNAPSHOT } from './catalog.js'
import { logPaths, noJournal, readFormat } from './directory.js'
import { DATA_FILE, type Database, openEnvironment } from './environment.js'
import type { GoneRows } from './gone-rows.js'
import { loadHeads } from './heads-checkpoint.js'
import { ManifestStore } from './manifest-store.js'
import { CATALOG_BYTES_MAX } from './open-lmdb-journal.js'
import { ATTIC, decideRepair, finishRepair, pendingRepair } from './pending-repair.js'
import { PlainDatabase } from './plain-database.js'
import { onDisk, type RepairStep } from './repair-disk.js'
import { SealedRepair } from './sealed-repair.js'
import { UnsealedRepair } from './unsealed-repair.js'
import { verifyFiles } from './verify-files.js'

/** What repair would do, or did. Plain data. */
export interface RepairPlan {
  /** Segments that are written anew, sealed ones under another name; the old ones go to the folder `damaged` beside the log. */
  readonly rewritten: readonly string[]
  /** Events that are gone, by block. */
  readonly gone: readonly GoneRows[]
  /** Values of the catalog that are given up, in words; all can be had again, but for checkpoints, whose readers begin anew. */
  readonly givenUp: readonly string[]
  /** Damage that cannot be repaired: a backup has to help. */
  readonly beyond: readonly Finding[]
}

export interface RepairOptions {
  /** Nothing is changed. */
  readonly isDryRun: boolean
  /** For tests: may throw, or end the process. */
  readonly onStep?: (step: RepairStep) => void
}

const NONE: RepairPlan = { rewritten: [], gone: [], givenUp: [], beyond: [] }
const SPARE_KINDS: ReadonlySet<number> = new Set([KIND_SNAPSHOT, KIND_HEADS, KIND_MARKS, KIND_CHECKPOINT])

/**
 * Repairs the log in a directory on which no journal is open. What is damaged is fenced: fenced rows (fenced-block.ts) take the place of those that are gone, so that
 * positions and versions stay, and the manifest tells. Later blocks that are not sealed are chained to a fenced one; a sealed file is written anew (sealed-repair.ts). An index that is
 * wrong is made anew from the blocks. A crash leaves of each sealed file, and of all together that is not sealed, what there was or what is to be; repair may be run again. One that was not finished is
 * finished, and nothing else is done then. Throws ERR_NO_JOURNAL, ERR_DISK_FULL, ERR_REPAIR_DISK, ERR_REPAIR_UNFINISHED.
 */
export async function repairLog(directory: string, { isDryRun, onStep = () => undefined }: RepairOptions): Promise<RepairPlan> {
  return onDisk(directory, async () => {
    const format = readFormat(directory)
    if (format === undefined) throw noJournal(directory)
    const pending = pendingRepair(directory)
    if (pending !== undefined) {
      if (!isDryRun) await inCatalog(directory, (database, catalog) => finishRepair(directory, database, catalog, onStep))
      return { ...NONE, ...pending }
    }
    const findings: Finding[] = []
    for await (const finding of verifyFiles(directory)) if (finding.severity === 'damaged') findings.push(finding)
    if (findings.length === 0) return NONE
    const planned = await planRepair(directory, format.shardCount, findings)
    if (!isDryRun) await planned.carryOut?.(onStep)
    return planned.plan
  })
}

interface PlannedRepair {
  readonly plan: RepairPlan
  /** Missing when nothing can be done. */
  readonly carryOut?: (onStep: (step: RepairStep) => void) => Promise<void>
}

async function planRepair(directory: string, shardCount: number, findings: readonly Finding[]): Promise<PlannedRepair> {
  const paths = logPaths(directory)
  const hopeless: PlannedRepair = { plan: { ...NONE, beyond: findings } }
  const plain = new PlainDatabase(join(paths.catalog, DATA_FILE))
  try {
    const catalog = new Catalog(plain, paths.catalog)
    const { keys, isRepairable } = spareDamage(catalog, plain)
    if (plain.wrong !== undefined || !isRepairable) return hopeless
    const state = new LogState(shardCount, 1)
    const { position: saved } = loadHeads(catalog, state)
    const opening = planOpening(readdirSync(paths.log), ManifestStore.open(catalog).entries)
    const hit = new Set(findings.map(({ segment }) => segment))
    const types = new EventTypes(catalog.eventTypes())
    const sealed = new SealedRepair({ log: paths.log, plan: opening, hit, types, state, saved })
    const isUnsealedHit = opening.unsealed.some((name) => hit.has(name))
    // Blocks that are not sealed need the names that sealed ones brought.
    if (isUnsealedHit && sealed.beyond.size > 0) return hopeless
    const unsealed = isUnsealedHit ? new UnsealedRepair(paths.log, state, saved, opening, sealed) : undefined
    if (unsealed !== undefined && !(await unsealed.plan())) return hopeless
    const rewritten = [...sealed.rewritten, ...(unsealed?.rewritten ?? [])]
    const plan: RepairPlan = {
      rewritten,
      gone: [...sealed.gone, ...(unsealed?.gone ?? [])],
      givenUp: keys.map(({ what }) => what),
      beyond: findings.filter(({ segment }) => segment !== 'catalog' && !rewritten.includes(segment)),
    }
    return { plan, carryOut: (onStep) => carryOut(directory, keys, sealed, unsealed, onStep) }
  } finally {
    await plain.close()
  }
}

async function carryOut(
  directory: string,
  spare: readonly { readonly key: Uint8Array }[],
  sealed: SealedRepair,
  unsealed: UnsealedRepair | undefined,
  onStep: (step: RepairStep) => void,
): Promise<void> {
  await inCatalog(directory, async (database, catalog) => {
    for (const { key } of spare) await database.remove(key)
    await sealed.carryOut(catalog, ManifestStore.open(catalog), join(directory, ATTIC), onStep)
    if (unsealed === undefined || unsealed.rewritten.length === 0) return
    try {
      const decision = await unsealed.draft(catalog)
      onStep('drafted')
      await decideRepair(directory, decision)
    } catch (error) {
      if (pendingRepair(directory) === undefined) unsealed.discard()
      throw error
    }
    onStep('decided')
    await finishRepair(directory, database, catalog, onStep)
  })
}

async function inCatalog(directory: string, work: (database: Database, catalog: Catalog) => Promise<void>): Promise<void> {
  const path = logPaths(directory).catalog
  await onDisk(join(path, DATA_FILE), async () => {
    const database = await openEnvironment(path, { isReadOnly: false, mapBytes: CATALOG_BYTES_MAX })
    try {
      await work(database, new Catalog(database, join(path, DATA_FILE)))
    } finally {
      await database.close()
    }
  })
}

/** Values of the catalog with wrong checksums that can be done without. */
function spareDamage(catalog: Catalog, plain: PlainDatabase): { keys: { key: Uint8Array; what: string }[]; isRepairable: boolean } {
  const keys: { key: Uint8Array; what: string }[] = []
  let isRepairable = true
  for (const key of plain.getKeys({})) {
    if (catalog.isIntact(key)) continue
    if (!SPARE_KINDS.has(key[0] as number)) isRepairable = false
    const what = key[0] === KIND_CHECKPOINT ? `checkpoint ${Buffer.from(key.subarray(1)).toString('utf8')}` : 'a snapshot or heads'
    keys.push({ key, what })
  }
  return { keys, isRepairable }
}
