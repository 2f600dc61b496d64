import { closeSync, openSync, readdirSync, readFileSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { Prng } from '#base/prng.js'
import type { Finding } from '#journal/index.js'
import { soakSeed, soakTimes } from '../soak.js'
import { CountingClients } from './counting-clients.js'
import { PlantFolder } from './plant-folder.js'
import { run, startPlant, until } from './program-under-test.js'

const MAGIC = Buffer.from('MRBLOCK\n', 'latin1')
/** Offsets within a block, as its format has them. */
const [HEADER_BYTES, BODY_BYTES, ROW_COUNT, BASE_POSITION] = [12, 20, 24, 28]

const flips = soakTimes({ smoke: 8, full: 500 })
const seed = soakSeed(3)

describe(`the log of a stopped plant in which one byte of a block is flipped (seed ${seed})`, () => {
  let folder: PlantFolder
  let blocks: Block[]
  let dataFile: string
  /** The entity of each position. */
  let entities: string[]

  beforeAll(async () => {
    folder = new PlantFolder()
    const { up } = await startPlant(folder)
    const clients = await CountingClients.open(folder, 12)
    await until('some hundred events are durable', () => clients.acked > 500)
    clients.stop()
    await until('all are', () => clients.isSettled)
    await clients.close()
    up.kill('SIGTERM')
    await up.ended
    const log = join(folder.data, 'journal', 'log')
    dataFile = join(log, readdirSync(log)[0] as string, 'data.mdb')
    blocks = blocksIn(readFileSync(dataFile))
    entities = (await run(folder, ['query', '--receipts', '--json'])).lines.map(({ entity }) => entity as string)
  })

  afterAll(() => {
    folder.remove()
  })

  test('was whole before', async () => {
    expect(blocks.reduce((sum, { rowCount }) => sum + rowCount, 0)).toBe(entities.length)
    expect(await run(folder, ['log', 'verify', '--json'])).toMatchObject({ code: 0, json: { ok: true, findings: [] } })
    expect((await run(folder, ['log', 'verify'])).stdout).toBe('The log is whole.\n')
  })

  test(`is found damaged at each of ${flips} places, with segment, block and entities`, async () => {
    const prng = new Prng(seed)

    for (let count = 0; count < flips; count++) {
      const block = blocks[prng.below(blocks.length)] as Block
      const offset = prng.below(block.bytes)
      const bit = 1 << prng.below(8)
      const where = `bit ${bit} at ${offset} of the block at ${block.basePosition}, header ${block.headerBytes}`

      flip(block, offset, bit)
      const { code, json } = await run(folder, ['log', 'verify', '--json'])
      flip(block, offset, bit)

      const findings = json.findings as readonly Finding[]
      const hit = findings.filter((finding) => finding.severity === 'damaged' && finding.block === block.basePosition)
      expect({ code, ok: json.ok }, where).toEqual({ code: 1, ok: false })
      expect(hit.length, `${where}: ${JSON.stringify(findings)}`).toBeGreaterThan(0)
      for (const { segment } of hit) expect(segment).toMatch(/^\d{12}/)
      const named = [...new Set(hit.flatMap((finding) => finding.entities))]
      expect(named.toSorted(byText), where).toEqual(entitiesOf(block))
    }

    expect((await run(folder, ['log', 'verify'])).code).toBe(0)
  })

  test('is told to a person in words', async () => {
    const block = blocks.at(-2) as Block

    flip(block, block.headerBytes + 10, 1)
    const { code, stdout } = await run(folder, ['log', 'verify'])
    flip(block, block.headerBytes + 10, 1)

    expect(code).toBe(1)
    expect(stdout).toMatch(new RegExp(`^damaged: segment \\S+ block ${block.basePosition}: `))
    expect(stdout).toContain(`entities: ${entitiesOf(block)[0]}`)
    expect(stdout).toMatch(/The log is damaged in \d+ places?\.\n$/)
  })

  function entitiesOf({ basePosition, rowCount }: Block): string[] {
    return [...new Set(entities.slice(basePosition, basePosition + rowCount))].sort(byText)
  }

  /** In every copy of the block: the store leaves old pages behind, and damage there is none. */
  function flip(block: Block, offset: number, bit: number): void {
    const bytes = readFileSync(dataFile)
    const file = openSync(dataFile, 'r+')
    for (const at of block.offsets) writeSync(file, Uint8Array.of((bytes[at + offset] as number) ^ bit), 0, 1, at + offset)
    closeSync(file)
  }
})

interface Block {
  readonly basePosition: number
  readonly rowCount: number
  readonly headerBytes: number
  readonly bytes: number
  /** In the data file. */
  readonly offsets: number[]
}

/** The blocks of a data file, found by how they begin. */
function blocksIn(file: Buffer): Block[] {
  const blocks = new Map<number, Block>()
  for (let at = file.indexOf(MAGIC); at >= 0; at = file.indexOf(MAGIC, at + 1)) {
    const headerBytes = file.readUInt32LE(at + HEADER_BYTES)
    const basePosition = Number(file.readBigUInt64LE(at + BASE_POSITION))
    const bytes = headerBytes + file.readUInt32LE(at + BODY_BYTES)
    const known = blocks.get(basePosition)
    if (known === undefined)
      blocks.set(basePosition, { basePosition, rowCount: file.readUInt32LE(at + ROW_COUNT), headerBytes, bytes, offsets: [at] })
    else known.offsets.push(at)
  }
  return [...blocks.values()].sort((a, b) => a.basePosition - b.basePosition)
}

function byText(a: string, b: string): number {
  return a < b ? -1 : 1
}
