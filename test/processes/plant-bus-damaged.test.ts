import { randomInt } from 'node:crypto'
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { Prng } from '#base/prng.js'
import { distance } from '#bus/index.js'
import { END_WORD, HEADER_BYTES, MAGIC_WORD, PUBLISHED_WORD, RELEASED_WORD, TERM } from '#bus/layout.js'
import { Mapping, runtimeDirectoryOf } from '#shm/index.js'
import { PlantFolder } from '../apps/plant-folder.js'
import { ProgramUnderTest, startPlant, until } from '../apps/program-under-test.js'
import { soakSeed, soakTimes } from '../soak.js'
import { COUNTS_MAP, counts, countsThatDiffer, isStored } from './counted-rows.js'

const SCRIBBLES = soakTimes({ smoke: 6, full: 200 })
const ROWS_PER_SCRIBBLE = 4000
const ROWS = SCRIBBLES * ROWS_PER_SCRIBBLE
const CHANNELS = ['commands-g0-w0', 'appends-w0', 'answers-w0-g0']
const seed = soakSeed(randomInt(2 ** 31))

let folder: PlantFolder

beforeEach(() => {
  folder = new PlantFolder()
})

afterEach(() => {
  expect(folder.remove()).toEqual([])
})

describe('a plant whose channels are scribbled over', () => {
  test(`makes them anew, replaces who had their ends, and stores every row once and in order; seed ${seed}`, async () => {
    const prng = new Prng(seed)
    const { up } = await startPlant(folder, {
      env: { MILLRACE_PROCESSES__SPARES: '1', MILLRACE_WORKERS__COUNT: '1', MILLRACE_BUS__CAPACITY_BYTES: '65536' },
    })
    const before = new Map(CHANNELS.map((channel) => [channel, fileOf(channel)]))
    const map = folder.write('counts.map.yaml', COUNTS_MAP)
    const file = folder.write('counts.csv', counts(ROWS))
    const ingest = new ProgramUnderTest(['ingest', 'csv', file, '--map', map, '--data', folder.data, '--json'], { cwd: folder.path })

    for (let scribble = 0; scribble < SCRIBBLES; scribble++) {
      await until('a part of it is durable', async () => ingest.isOver || (await isStored(folder, scribble * ROWS_PER_SCRIBBLE)))
      const channel = CHANNELS[scribble % CHANNELS.length] as string
      await until('the channel is there to be scribbled over', () => scribbleOver(channel, prng, scribble < CHANNELS.length))
    }
    const code = await ingest.ended
    expect(ingest.stderr).toBe('')

    expect(ingest.json).toMatchObject([{ rows: ROWS, accepted: ROWS, rejected: 0, durable: ROWS, isComplete: true }])
    expect(code).toBe(0)
    expect(await countsThatDiffer(folder, ROWS)).toEqual([])
    for (const channel of CHANNELS) expect({ channel, file: fileOf(channel) }).not.toEqual({ channel, file: before.get(channel) })
    expect(logs()).toMatch(/ERR_CHANNEL_CORRUPT/)
    up.kill('SIGTERM')
    expect(await up.ended).toBe(0)
  })
})

function pathOf(channel: string): string {
  return join(runtimeDirectoryOf(folder.data), `${channel}.ring`)
}

function fileOf(channel: string): number {
  return statSync(pathOf(channel)).ino
}

function logs(): string {
  const directory = join(folder.data, 'logs')
  return readdirSync(directory)
    .map((name) => readFileSync(join(directory, name), 'utf8'))
    .join('')
}

/** False while the channel is just being made anew. Most bytes mean nothing at the moment; those that matter to both ends always do. */
function scribbleOver(channel: string, prng: Prng, isCertain: boolean): boolean {
  const path = pathOf(channel)
  if (!existsSync(path)) return false
  const mapping = Mapping.open(path)
  const words = new Int32Array(mapping.buffer)
  const bytes = new Uint8Array(mapping.buffer)
  const kind = isCertain ? 1 : prng.below(4)
  if (kind === 0) for (let count = 1 + prng.below(64); count > 0; count--) bytes[prng.below(1200)] = prng.below(256)
  if (kind === 1) words[isCertain ? MAGIC_WORD : prng.pick([MAGIC_WORD, PUBLISHED_WORD, RELEASED_WORD])] = prng.nextInt32() | 1
  if (kind === 2) words[END_WORD.producer + TERM] = prng.nextInt32() & 0x7fffffff
  // Where the next frames begin and those that are not released: their headers among other things.
  for (let count = 0; count < 8; count++) words[liveWord(mapping, prng)] = prng.nextInt32()
  mapping.close()
  return true
}

function liveWord(mapping: Mapping, prng: Prng): number {
  const capacityBytes = mapping.byteLength - HEADER_BYTES
  const words = new Int32Array(mapping.buffer)
  const released = words[RELEASED_WORD] as number
  const live = Math.min(capacityBytes, Math.max(8, distance(released, words[PUBLISHED_WORD] as number)))
  return (HEADER_BYTES + ((released + 8 * prng.below(live / 8)) & (capacityBytes - 1))) >> 2
}
