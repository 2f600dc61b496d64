import { mkdtempSync, rmSync, truncateSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, test } from 'vitest'
import { Prng } from '#base/prng.js'
import { type Database, openEnvironment, readValue } from '#journal/lmdb/environment.js'
import { walkPages } from '#journal/lmdb/page-check.js'
import { PlainDatabase } from '#journal/lmdb/plain-database.js'
import { soakSeed, soakTimes } from '../soak.js'

const root = mkdtempSync(join(tmpdir(), 'millrace-plain-'))
const seed = soakSeed(1)
const rounds = soakTimes({ smoke: 12, full: 2000 })

afterAll(() => rmSync(root, { recursive: true, force: true }))

function keyOf(number: number): Buffer {
  const key = Buffer.alloc(6)
  key.writeUInt32BE(number, 0)
  return key
}

/** Everything in a database, and some looks into it. */
function look(database: Database, prng: Prng): unknown[] {
  const keys = [...database.getKeys({})].map((key) => Buffer.from(key).toString('hex'))
  const values = keys.map((key) => {
    const value = readValue(database, Buffer.from(key, 'hex'))
    return value === undefined ? 'none' : Buffer.from(value).toString('base64').slice(0, 60) + value.length
  })
  const ranges = Array.from({ length: 8 }, () => {
    const [start, end] = [keyOf(prng.below(600)), keyOf(prng.below(600))]
    const isReverse = prng.next() < 0.5
    const range = { start, limit: 1 + prng.below(9), ...(prng.next() < 0.5 ? {} : { end }), ...(isReverse ? { reverse: true } : {}) }
    return [...database.getKeys(range)].map((key) => Buffer.from(key).toString('hex'))
  })
  return [keys, values, ranges]
}

describe(`a store that is written and thrown about (seed ${seed})`, () => {
  test(`is read without LMDB as LMDB reads it, and its pages are found right: ${rounds} times`, async () => {
    const prng = new Prng(`${seed}-plain`)
    const directory = join(root, 'store')
    const file = join(directory, 'data.mdb')
    const database = await openEnvironment(directory, { isReadOnly: false, mapBytes: 1 << 30 })
    const plain = new PlainDatabase(file)
    for (let round = 0; round < rounds; round++) {
      const changes: Promise<boolean>[] = []
      for (let count = 1 + prng.below(40); count > 0; count--) {
        const key = keyOf(prng.below(500))
        const bytes = prng.next() < 0.1 ? prng.below(30_000) : prng.below(900)
        changes.push(prng.next() < 0.3 ? database.remove(key) : database.put(key, Buffer.alloc(bytes, round)))
      }
      await Promise.all(changes)

      database.resetReadTxn()
      plain.resetReadTxn()

      expect(plain.wrong).toBeUndefined()
      expect(look(plain, new Prng(round))).toEqual(look(database, new Prng(round)))
    }
    await plain.close()
    await database.close()
  })

  test('is found wrong when its file is cut anywhere within its pages', () => {
    const file = join(root, 'store', 'data.mdb')
    const wrong: (string | undefined)[] = []
    for (const share of [0.5, 0.1, 0]) {
      truncateSync(file, Math.floor(statSync(file).size * share))
      wrong.push(walkPages(file).wrong)
    }

    expect(wrong.every((what) => what !== undefined)).toBe(true)
  })
})
