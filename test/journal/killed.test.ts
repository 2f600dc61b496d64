import { spawn } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, describe, expect, test } from 'vitest'
import { Prng } from '#base/prng.js'
import { openLmdbJournal } from '#journal/lmdb/index.js'
import { collect, rowsOf } from '../contracts/journal-adapter.js'

const CHILD = fileURLToPath(new URL('./children/append.mjs', import.meta.url))
const root = mkdtempSync(join(tmpdir(), 'millrace-killed-'))

afterAll(() => rmSync(root, { recursive: true, force: true }))

/** Runs an appending process and kills it after so many acknowledged batches and a random moment more. Returns the last value acknowledged. */
async function runAndKill(directory: string, term: number, first: number, batches: number, moreMs: number): Promise<number> {
  const child = spawn(process.execPath, [CHILD, directory, String(term), String(first)], { stdio: ['ignore', 'pipe', 'pipe'] })
  let said = ''
  let errors = ''
  child.stdout.on('data', (text) => {
    said += text
    if (said.split('\n').length > batches) setTimeout(() => child.kill('SIGKILL'), moreMs)
  })
  child.stderr.on('data', (text) => (errors += text))
  const signal = await new Promise((resolve) => child.once('close', (_, by) => resolve(by)))
  if (signal !== 'SIGKILL') throw new Error(`the child ended by itself: ${errors}`)
  return Number(said.slice(0, said.lastIndexOf('\n')).split('\n').at(-1))
}

describe('a journal process that is killed again and again', () => {
  test('has everything that it acknowledged, each row once, and a whole log', async () => {
    const directory = join(root, 'log')
    const prng = new Prng(`killed-${process.env.MILLRACE_SEED ?? 1}`)
    let next = 0
    for (let round = 1; round <= 6; round++) {
      const acked = await runAndKill(directory, round, next, 1 + prng.below(12), prng.next() * 12)

      const journal = await openLmdbJournal({ directory, isReadOnly: true })
      const rows = await rowsOf(journal)
      const values = rows.map((row) => row.data.value as number).sort((a, b) => a - b)
      const findings = await collect(journal.verify())
      await journal.close()

      expect(values).toEqual(values.map((_, index) => index))
      expect(values.length).toBeGreaterThanOrEqual(acked)
      expect(findings.filter((finding) => finding.severity === 'damaged')).toEqual([])
      next = values.length
    }
  })
})
