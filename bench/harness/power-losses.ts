import { spawn } from 'node:child_process'
import { closeSync, mkdirSync, openSync, readSync, rmSync, statSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { MillraceError, messageOf } from '#base/errors.js'
import { Prng } from '#base/prng.js'
import { compiledPath } from './compiled.js'
import type { Judgement, JudgeOrder, JudgeSetup } from './journal-judge.js'
import type { Acknowledgement, JournalTask } from './journal-worker.js'
import { MeasuringProcess } from './measuring-process.js'
import { writePowerLossImage } from './power-loss.js'
import { type DiskEntry, readDiskRecord, recordedDiskEnvironment } from './recorded-disk.js'

export interface PowerLossOptions {
  readonly seed: number
  /** Of the work whose record the images are made from. */
  readonly steps: number
  readonly images: number
  /** The compiled recorder. */
  readonly library: string
  /** Made and removed here. */
  readonly folder: string
  /** Syncs return before they are carried out: what is acknowledged is not durable. */
  readonly isReleasedEarly?: boolean
  /** The judge takes one row of each image for another: a journal that stores wrong ones. */
  readonly isOneRowChanged?: boolean
}

export interface PowerLosses {
  readonly images: number
  /** Images in which something acknowledged was absent, not as it was written, or could not be opened, read and verified. */
  readonly ackedMissing: number
  readonly wrongValues: number
  readonly unreadable: number
  /** The first few, in words, with the moment that makes each again. */
  readonly found: readonly string[]
}

const WORK_TIMEOUT_MS = 60_000
/** Where the log lies, so that the names of what it lies in may be lost too. */
const LOG_FOLDER = 'data/journal'
const FOUND_SHOWN = 5
const FOUND_CHARACTERS = 400

/** Records seeded work on a journal, and judges what the disk may hold if the power goes at random moments of it. Same seed, same images. */
export async function countPowerLosses(options: PowerLossOptions): Promise<PowerLosses> {
  const { seed, steps, folder, isOneRowChanged = false } = options
  mkdirSync(folder, { recursive: true })
  const judge = new MeasuringProcess<JudgeSetup, JudgeOrder, Judgement>('harness/journal-judge', { seed, steps, isOneRowChanged })
  try {
    const { entries, rootInode } = await recordWork(options)
    const promises = [...entries.keys()].filter((index) => entries[index]?.kind === 'acknowledge')
    const prng = new Prng(`${seed}-power`)
    const counts = { ackedMissing: 0, wrongValues: 0, unreadable: 0 }
    const found: string[] = []
    for (let image = 0; image < options.images; image++) {
      // Half of them right behind a promise: where one that was given too early shows.
      const moment = 1 + (prng.next() < 0.5 ? prng.below(entries.length) : prng.pick(promises))
      const { isMissing, isWrong, isUnreadable, said } = await judgeImage({ options, entries, rootInode, moment, prng, judge })
      counts.ackedMissing += Number(isMissing)
      counts.wrongValues += Number(isWrong)
      counts.unreadable += Number(isUnreadable)
      if (said.length > 0)
        found.push(`image ${image} of seed ${seed}, power lost before entry ${moment}: ${said.join('; ').slice(0, FOUND_CHARACTERS)}`)
    }
    return { images: options.images, ...counts, found: found.slice(0, FOUND_SHOWN) }
  } finally {
    judge.kill()
    rmSync(folder, { recursive: true, force: true })
  }
}

async function recordWork(options: PowerLossOptions): Promise<{ entries: readonly DiskEntry[]; rootInode: bigint }> {
  const { seed, steps, folder, library, isReleasedEarly = false } = options
  const root = join(folder, 'recorded')
  const log = join(folder, 'record')
  const acks = join(folder, 'acks')
  mkdirSync(root, { mode: 0o700 })
  const task: JournalTask = { directory: join(root, LOG_FOLDER), acks, seed, steps }
  const env = { ...process.env, ...recordedDiskEnvironment({ library, root, log, acks, isLate: isReleasedEarly }) }
  const child = spawn(process.execPath, [compiledPath('harness/journal-worker'), JSON.stringify(task)], {
    env,
    stdio: ['ignore', 'ignore', 'pipe'],
    timeout: WORK_TIMEOUT_MS,
    killSignal: 'SIGKILL',
  })
  let errors = ''
  child.stderr.on('data', (piece: Buffer) => (errors += piece.toString()))
  const end = await new Promise((resolve) => child.once('close', (code, signal) => resolve(signal ?? code)))
  if (end !== 0) {
    throw new MillraceError('ERR_BENCH_FAILED', {
      fact: 'the work that was to be recorded failed',
      action: 'retry',
      values: { seed, end, said: errors.trim() },
    })
  }
  return { entries: readDiskRecord(log), rootInode: statSync(root, { bigint: true }).ino }
}

interface ImageToJudge {
  readonly options: PowerLossOptions
  readonly entries: readonly DiskEntry[]
  readonly rootInode: bigint
  readonly moment: number
  readonly prng: Prng
  readonly judge: MeasuringProcess<JudgeSetup, JudgeOrder, Judgement>
}

interface ImageVerdict {
  readonly isMissing: boolean
  readonly isWrong: boolean
  readonly isUnreadable: boolean
  readonly said: readonly string[]
}

/** Opens the image twice, as it is and after another boot of the machine, in either order; the second time for writing. */
async function judgeImage({ options, entries, rootInode, moment, prng, judge }: ImageToJudge): Promise<ImageVerdict> {
  const image = join(options.folder, 'image')
  const directory = join(image, LOG_FOLDER)
  mkdirSync(image, { mode: 0o700 })
  try {
    writePowerLossImage(entries, rootInode, moment, prng, image)
    const acked = acknowledgedBefore(entries, moment)
    const isOtherBootFirst = prng.next() < 0.5
    if (isOtherBootFirst) changeBoot(entries, image)
    const order = { directory, ...acked }
    const judgements = [await judge.order({ ...order, isWriting: false })]
    if (!isOtherBootFirst) changeBoot(entries, image)
    judgements.push(await judge.order({ ...order, isWriting: true }))
    const failed = judgements.flatMap((one) => (one.failed === undefined ? [] : [`${one.failed.code}: ${one.failed.message}`]))
    const damaged = judgements.flatMap((one) => one.damaged ?? [])
    const missing = judgements.flatMap((one) => one.missing)
    const wrong = judgements.flatMap((one) => one.wrong)
    return {
      isMissing: missing.length > 0,
      isWrong: wrong.length > 0,
      isUnreadable: failed.length + damaged.length > 0,
      said: [...failed, ...damaged.map((one) => `verify: ${one.segment} ${one.block ?? ''} ${one.what}`), ...missing, ...wrong],
    }
  } catch (error) {
    return { isMissing: false, isWrong: false, isUnreadable: true, said: [messageOf(error)] }
  } finally {
    rmSync(image, { recursive: true, force: true })
  }
}

function acknowledgedBefore(
  entries: readonly DiskEntry[],
  moment: number,
): Pick<JudgeOrder, 'endPosition' | 'firstPosition' | 'laterFirstPositions' | 'checkpoints'> {
  let [endPosition, firstPosition] = [0, 0]
  const checkpoints: [string, string][] = []
  const laterFirstPositions: number[] = []
  for (const [index, entry] of entries.entries()) {
    if (entry.kind !== 'acknowledge') continue
    const said = JSON.parse(entry.text) as Acknowledgement
    if (index >= moment) {
      laterFirstPositions.push(said.firstPosition)
      continue
    }
    endPosition = said.endPosition
    firstPosition = said.firstPosition
    if (said.checkpoint !== undefined) checkpoints.push([said.checkpoint.name, said.checkpoint.value])
  }
  return { endPosition, firstPosition, laterFirstPositions, checkpoints }
}

const PAGE_BYTES = 4096
/** Behind the page's header and what comes before it in a meta page. */
const BOOT_OFFSET = 24 + 136

/** LMDB keeps the machine's boot id in its meta pages; after a power loss it is another one. */
function changeBoot(entries: readonly DiskEntry[], image: string): void {
  const names = new Set(entries.flatMap((entry) => (entry.kind === 'create' && entry.name.endsWith('data.mdb') ? [entry.name] : [])))
  for (const name of names) {
    let file: number
    try {
      file = openSync(join(image, name), 'r+')
    } catch {
      continue
    }
    const boot = Buffer.alloc(8)
    for (const page of [0, 1]) {
      if (readSync(file, boot, 0, 8, page * PAGE_BYTES + BOOT_OFFSET) < 8 || boot.readBigUInt64LE() === 0n) continue
      boot.writeBigUInt64LE(boot.readBigUInt64LE() ^ 0x5a5an)
      writeSync(file, boot, 0, 8, page * PAGE_BYTES + BOOT_OFFSET)
    }
    closeSync(file)
  }
}
