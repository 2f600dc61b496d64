/**
 * Can an acknowledged event be lost when the power goes, or a wrong one be read when the disk lies?
 *
 *   worker ── seeded work on a journal ──▶ recorded disk (bench/reference/recorded-disk.c, preloaded): every write, sync and name, in order
 *                                                │
 *   power-loss.ts ◀──────────────────────────────┘ at random moments: what is synced, and any sectors of the rest
 *   damage.ts     ── copies of a whole log with one bit flipped, or cut
 *        └──▶ judge: opens, reads, verifies, appends, and holds it against the same work done in memory
 *
 * Images of a power loss must open, hold all that was acknowledged before, bit for bit, and pass verify: as they are, and with another boot of the
 * machine in LMDB's meta pages. A flip or cut must do no harm, or be named by the read that meets it and by verify; the judge is a process of its
 * own, since LMDB may die of what it reads. What is assumed of the disk stands in harness/power-loss.ts. Needs a C compiler, better two cores.
 */
import { existsSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { MillraceError } from '#base/errors.js'
import { benchMain } from './harness/bench-main.js'
import { countDamage } from './harness/damage.js'
import { faultFlags } from './harness/fault-flags.js'
import { countPowerLosses } from './harness/power-losses.js'
import { compileRecordedDisk } from './harness/recorded-disk.js'

export interface JournalFaultsOptions {
  readonly seed: number
  readonly powerLossImages: number
  readonly bitFlips: number
  readonly truncations: number
  readonly sabotage?: JournalSabotage
}

/**
 * What makes a checker's work necessary: syncs that return before they are carried out; a row of the judged log that is not as it was written; a
 * flip that its judge does not look at.
 */
export type JournalSabotage = 'release-before-fsync' | 'change-a-row' | 'overlook-a-flip'

const SABOTAGES: readonly JournalSabotage[] = ['release-before-fsync', 'change-a-row', 'overlook-a-flip']

export const JOURNAL_FAULTS_FULL: JournalFaultsOptions = { seed: 1, powerLossImages: 200, bitFlips: 2000, truncations: 200 }
export const JOURNAL_FAULTS_SMOKE: JournalFaultsOptions = { seed: 1, powerLossImages: 4, bitFlips: 10, truncations: 3 }

export interface JournalFaults {
  readonly bench: 'journal-faults'
  readonly powerLossImages: number
  readonly bitFlips: number
  readonly truncations: number
  /** Images and copies in which something acknowledged was absent, and nothing said so. */
  readonly ackedMissing: number
  readonly wrongValues: number
  /** Damage that was not named, and images of a power loss that could not be opened, read and verified. */
  readonly undetected: number
  /** Times that LMDB killed its reader; counted as undetected when the next one did not name the file. */
  readonly deaths: number
  readonly harmless: number
  readonly seed: number
  readonly found: readonly string[]
}

/** Images that are made from the record of one seed's work. */
const IMAGES_PER_RECORD = 50
/** Damage that is done to copies of one seed's log. */
const DAMAGES_PER_LOG = 550
const RECORDED_STEPS = 60
const DAMAGED_STEPS = 14
/** Logs that are damaged at a time. */
const DAMAGE_LANES = 2
const FOUND_SHOWN = 10

/** Throws ERR_BENCH_FAILED where no library can be compiled and preloaded. */
export async function measureJournalFaults(options: JournalFaultsOptions): Promise<JournalFaults> {
  const folder = mkdtempSync(join(existsSync('/dev/shm') ? '/dev/shm' : tmpdir(), `millrace-journal-faults-${process.pid}-`))
  try {
    const compiled = await compileRecordedDisk(folder)
    if (typeof compiled === 'string') throw notHere(compiled)
    const lanes = await Promise.all([losses(options, folder, compiled.library), damages(options, folder)])
    const sum = (pick: (part: { ackedMissing: number; wrongValues: number; undetected: number }) => number) =>
      pick(lanes[0]) + pick(lanes[1])
    return {
      bench: 'journal-faults',
      powerLossImages: options.powerLossImages,
      bitFlips: options.bitFlips,
      truncations: options.truncations,
      ackedMissing: sum((part) => part.ackedMissing),
      wrongValues: sum((part) => part.wrongValues),
      undetected: sum((part) => part.undetected),
      deaths: lanes[1].deaths,
      harmless: lanes[1].harmless,
      seed: options.seed,
      found: [...lanes[0].found, ...lanes[1].found].slice(0, FOUND_SHOWN),
    }
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

async function losses({ seed, powerLossImages, sabotage }: JournalFaultsOptions, folder: string, library: string) {
  const total = { ackedMissing: 0, wrongValues: 0, undetected: 0, found: [] as string[] }
  for (let done = 0, record = 0; done < powerLossImages; record++) {
    const images = Math.min(IMAGES_PER_RECORD, powerLossImages - done)
    const counts = await countPowerLosses({
      seed: seed * 1000 + record,
      steps: RECORDED_STEPS,
      images,
      library,
      folder: join(folder, `record-${record}`),
      isReleasedEarly: sabotage === 'release-before-fsync',
      isOneRowChanged: sabotage === 'change-a-row' && record === 0,
    })
    total.ackedMissing += counts.ackedMissing
    total.wrongValues += counts.wrongValues
    total.undetected += counts.unreadable
    total.found.push(...counts.found)
    done += images
  }
  return total
}

async function damages({ seed, bitFlips, truncations, sabotage }: JournalFaultsOptions, folder: string) {
  const total = { ackedMissing: 0, wrongValues: 0, undetected: 0, deaths: 0, harmless: 0, found: [] as string[] }
  const logs = Math.ceil((bitFlips + truncations) / DAMAGES_PER_LOG)
  const doLog = async (log: number) => {
    const share = (count: number) => Math.floor((count * (log + 1)) / logs) - Math.floor((count * log) / logs)
    const counts = await countDamage({
      seed: seed * 1000 + log,
      steps: DAMAGED_STEPS,
      bitFlips: share(bitFlips),
      truncations: share(truncations),
      folder: join(folder, `damage-${log}`),
      isOneOverlooked: sabotage === 'overlook-a-flip' && log === 0,
    })
    total.wrongValues += counts.wrongValues
    total.undetected += counts.undetected
    total.deaths += counts.deaths
    total.harmless += counts.harmless
    total.found.push(...counts.found)
  }
  for (let log = 0; log < logs; log += DAMAGE_LANES) {
    const lanes = Array.from({ length: Math.min(DAMAGE_LANES, logs - log) }, (_, lane) => doLog(log + lane))
    for (const lane of await Promise.allSettled(lanes)) if (lane.status === 'rejected') throw lane.reason
  }
  return total
}

/** A report for people. */
export function describeJournalFaults(result: JournalFaults): string {
  return [
    `${result.powerLossImages} power losses, ${result.bitFlips} flipped bits and ${result.truncations} cuts, seed ${result.seed}:`,
    `acknowledged and missing ${result.ackedMissing}, wrong values ${result.wrongValues}, undetected ${result.undetected}`,
    `${result.harmless} flips and cuts did no harm, ${result.deaths} killed the process that read`,
    ...result.found,
  ].join('\n')
}

function notHere(why: string): MillraceError {
  return new MillraceError('ERR_BENCH_FAILED', {
    fact: `the disk cannot be recorded here, since ${why}`,
    action: 'operator',
    next: 'run it on Linux, with a C compiler',
  })
}

benchMain(import.meta.url, {
  name: 'journal-faults',
  full: JOURNAL_FAULTS_FULL,
  smoke: JOURNAL_FAULTS_SMOKE,
  measure: measureJournalFaults,
  describe: describeJournalFaults,
  isGood: ({ ackedMissing, wrongValues, undetected }) => ackedMissing + wrongValues + undetected === 0,
  flags: faultFlags<JournalFaultsOptions>(SABOTAGES),
})
