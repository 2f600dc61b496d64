import { closeSync, cpSync, mkdirSync, openSync, readdirSync, readSync, rmSync, statSync, truncateSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { messageOf } from '#base/errors.js'
import { Prng } from '#base/prng.js'
import { compiledPath } from './compiled.js'
import type { Judgement, JudgeOrder, JudgeSetup } from './journal-judge.js'
import type { JournalTask } from './journal-worker.js'
import { MeasuringProcess } from './measuring-process.js'
import { runProgram } from './run-program.js'

export interface DamageOptions {
  readonly seed: number
  readonly steps: number
  readonly bitFlips: number
  readonly truncations: number
  /** Made and removed here. */
  readonly folder: string
  /** The judge does not look at one flip that it should find. */
  readonly isOneOverlooked?: boolean
}

export interface DamageCounts {
  readonly bitFlips: number
  readonly truncations: number
  /** Rows, checkpoints or snapshots that came back other than they were written. */
  readonly wrongValues: number
  /** Rows or checkpoints that were absent without an error, or damage that a read met and verify did not name. */
  readonly undetected: number
  /** Times that the reading process was killed by a signal; the one after it must then name the file. */
  readonly deaths: number
  /** Images in which nothing was wrong: pages that are free, bytes that nobody reads. */
  readonly harmless: number
  readonly found: readonly string[]
}

const PAGE_BYTES = 4096
/** Of pages that a bit flip is to hit, so many are those that LMDB trusts, and the rest lies anywhere in a file. */
const STRUCTURE_SHARE = 0.5
const FOUND_SHOWN = 5
const FOUND_CHARACTERS = 400

type Damage = { readonly file: string; readonly what: string; apply(path: string): void }

/** Damages copies of a log, one bit or one cut at a time, and judges what reading, verifying and appending make of each. Same seed, same damage. */
export async function countDamage(options: DamageOptions): Promise<DamageCounts> {
  const { seed, steps, folder } = options
  mkdirSync(folder, { recursive: true })
  const original = join(folder, 'original')
  const judges = new Judges({ seed, steps })
  try {
    await makeLog(original, options)
    const files = dataFiles(original)
    const prng = new Prng(`${seed}-damage`)
    const damages = [
      ...Array.from({ length: options.bitFlips }, () => bitFlip(original, files, prng)),
      ...Array.from({ length: options.truncations }, () => truncation(original, files, prng)),
    ]
    const extent = await judges.look(original)
    const counts = { wrongValues: 0, undetected: 0, deaths: 0, harmless: 0 }
    const found: string[] = []
    for (const [index, damage] of damages.entries()) {
      const copy = join(folder, 'copy')
      cpSync(original, copy, { recursive: true })
      damage.apply(join(copy, damage.file))
      const verdict = await judges.judge(copy, extent)
      if (options.isOneOverlooked === true && index === 0) verdict.undetected.push('overlooked, as was asked for')
      counts.deaths += verdict.deaths
      counts.wrongValues += Number(verdict.wrong.length > 0)
      counts.undetected += Number(verdict.undetected.length > 0)
      counts.harmless += Number(verdict.isHarmless)
      const said = [...verdict.wrong, ...verdict.undetected]
      if (said.length > 0)
        found.push(`${damage.what} of ${damage.file}, damage ${index} of seed ${seed}: ${said.join('; ').slice(0, FOUND_CHARACTERS)}`)
      rmSync(copy, { recursive: true, force: true })
    }
    return { bitFlips: options.bitFlips, truncations: options.truncations, ...counts, found: found.slice(0, FOUND_SHOWN) }
  } finally {
    judges.close()
    rmSync(folder, { recursive: true, force: true })
  }
}

async function makeLog(directory: string, { seed, steps, folder }: DamageOptions): Promise<void> {
  const task: JournalTask = { directory, acks: join(folder, 'acks'), seed, steps }
  const { code, stderr } = await runProgram(process.execPath, [compiledPath('harness/journal-worker'), JSON.stringify(task)])
  if (code !== 0) throw new Error(`the log to be damaged could not be made: ${stderr}`)
}

/** Paths relative to the log. Locks hold no data. */
function dataFiles(directory: string): string[] {
  return readdirSync(directory, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && entry.name !== 'lock.mdb')
    .map((entry) => join(entry.parentPath, entry.name).slice(directory.length + 1))
    .sort()
}

function bitFlip(directory: string, files: readonly string[], prng: Prng): Damage {
  const file = prng.pick(files)
  const { size } = statSync(join(directory, file))
  const pages = file.endsWith('.mdb') && prng.next() < STRUCTURE_SHARE ? structurePages(join(directory, file)) : []
  const offset = pages.length === 0 ? prng.below(size) : prng.pick(pages) * PAGE_BYTES + prng.below(prng.next() < 0.5 ? 200 : PAGE_BYTES)
  const bit = prng.below(8)
  return {
    file,
    what: `bit ${bit} of byte ${offset}`,
    apply: (path) => {
      const descriptor = openSync(path, 'r+')
      const byte = Buffer.alloc(1)
      readSync(descriptor, byte, 0, 1, offset)
      writeSync(descriptor, Uint8Array.of((byte[0] as number) ^ (1 << bit)), 0, 1, offset)
      closeSync(descriptor)
    },
  }
}

function truncation(directory: string, files: readonly string[], prng: Prng): Damage {
  const file = prng.pick(files)
  const { size } = statSync(join(directory, file))
  const aligned = prng.next() < 0.5 ? PAGE_BYTES : 1
  const length = Math.floor(prng.below(size) / aligned) * aligned
  return { file, what: `a cut at byte ${length} of ${size}`, apply: (path) => truncateSync(path, length) }
}

/** Meta, inner and leaf pages. */
function structurePages(path: string): number[] {
  const descriptor = openSync(path, 'r')
  const header = Buffer.alloc(24)
  const pages: number[] = []
  for (let page = 0; readSync(descriptor, header, 0, 24, page * PAGE_BYTES) === 24; page++) {
    if (Number(header.readBigUInt64LE(0)) === page && [1, 2, 8].includes(header.readUInt16LE(18))) pages.push(page)
  }
  closeSync(descriptor)
  return pages
}

interface DamageVerdict {
  readonly deaths: number
  readonly wrong: string[]
  readonly undetected: string[]
  readonly isHarmless: boolean
}

interface Extent {
  readonly firstPosition: number
  readonly endPosition: number
}

/** A judge, and its successor whenever it dies of what it reads. */
class Judges {
  readonly #setup: JudgeSetup
  #judge: MeasuringProcess<JudgeSetup, JudgeOrder, Judgement> | undefined

  constructor(setup: JudgeSetup) {
    this.#setup = setup
  }

  /** What the whole log has, which must be found whole. */
  async look(directory: string): Promise<Extent> {
    const order = { directory, isWriting: false, endPosition: 0, firstPosition: 0, laterFirstPositions: undefined, checkpoints: [] }
    const { wrong, damaged, failed, rows, firstPosition } = await this.#order(order)
    if (wrong.length > 0 || failed !== undefined || damaged?.length !== 0)
      throw new Error(`the log is not whole to begin with: ${failed?.message ?? wrong.join()}`)
    return { firstPosition, endPosition: firstPosition + rows }
  }

  /** Reads and verifies; where neither finds anything, appends and reads once more. */
  async judge(directory: string, extent: Extent): Promise<DamageVerdict> {
    let deaths = 0
    const wrong: string[] = []
    const undetected: string[] = []
    const ask = async (more: Partial<JudgeOrder>): Promise<Judgement | undefined> => {
      const order = { directory, isWriting: false, ...extent, laterFirstPositions: [], checkpoints: [], ...more }
      for (let attempt = 0; attempt < 2; attempt++) {
        try {
          const judgement = await this.#order(order)
          if (attempt > 0 && judgement.failed === undefined) undetected.push('after it killed its reader nothing was found')
          wrong.push(...judgement.wrong)
          undetected.push(...judgement.missing.filter(() => judgement.failed === undefined))
          return judgement
        } catch (error) {
          deaths++
          this.close()
          if (attempt > 0) undetected.push(`its reader died twice, ${messageOf(error)}`)
        }
      }
      return undefined
    }
    const read = await ask({})
    const isNamed = (read?.damaged?.length ?? 0) > 0
    if (read?.failed !== undefined && !isNamed) undetected.push(`verify does not name it: ${read.failed.message}`)
    let isHarmless = read !== undefined && read.failed === undefined && !isNamed
    if (isHarmless) {
      const after = await ask({ isWriting: true })
      if (after === undefined || after.failed !== undefined || (after.damaged?.length ?? 0) > 0) {
        isHarmless = false
        undetected.push(`only appending showed it: ${after?.failed?.message ?? after?.damaged?.[0]?.what ?? 'by death'}`)
      }
    }
    return { deaths, wrong, undetected, isHarmless }
  }

  close(): void {
    this.#judge?.kill()
    this.#judge = undefined
  }

  #order(order: JudgeOrder): Promise<Judgement> {
    this.#judge ??= new MeasuringProcess<JudgeSetup, JudgeOrder, Judgement>('harness/journal-judge', this.#setup)
    return this.#judge.order(order)
  }
}
