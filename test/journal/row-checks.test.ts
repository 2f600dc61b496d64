import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, test } from 'vitest'
import { createInMemoryJournal } from '#journal/in-memory/index.js'
import { collect } from '../contracts/journal-adapter.js'
import { batchOf, SAMPLED, TestWriter } from './writer.js'

/** More than are looked through before threads start. */
const BLOCKS = 400
const CHILD = fileURLToPath(new URL('children/row-checks.mjs', import.meta.url))

/** What a process of compiled code finds in so many blocks, of which one may be damaged. */
async function findings(damaged?: number): Promise<unknown> {
  const folder = mkdtempSync(join(tmpdir(), 'millrace-row-checks-'))
  try {
    const journal = createInMemoryJournal()
    const types = await journal.register([SAMPLED])
    const writer = new TestWriter(types)
    for (let index = 0; index < BLOCKS; index++) await journal.append(batchOf([writer.sample(`press/press-${index % 9}`, index)]))
    const blocks = await collect(journal.blocks({ from: 0 }))
    const hit = damaged === undefined ? undefined : (blocks[damaged] as Uint8Array)
    if (hit !== undefined) hit[hit.length - 1] = (hit[hit.length - 1] as number) ^ 1
    const parts = blocks.flatMap((block) => [Buffer.from(Uint32Array.of(block.length).buffer), block])
    writeFileSync(join(folder, 'blocks'), Buffer.concat(parts))
    const said = execFileSync(process.execPath, [CHILD, join(folder, 'blocks'), JSON.stringify(types)], { encoding: 'utf8' })
    return JSON.parse(said)
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

describe('the rows of more blocks than one thread is used for', () => {
  test('are looked through in threads, which name the block that cannot be decoded', async () => {
    const damaged = BLOCKS - 20

    expect(await findings(damaged)).toEqual([
      { severity: 'damaged', segment: '000.active', block: damaged, what: expect.any(String), entities: [] },
    ])
  })

  test('give no finding when they are whole', async () => {
    expect(await findings()).toEqual([])
  })
})
