import { execFileSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { describe, expect, test } from 'vitest'

const ENTRY = fileURLToPath(new URL('../../dist/src/journal.js', import.meta.url))

describe('the entry millrace/journal', () => {
  test('loads no database when it is imported', () => {
    const script = `
      const entry = await import(process.argv[1])
      const loaded = process.report.getReport().sharedObjects.filter((path) => path.includes('lmdb'))
      console.log(JSON.stringify({ loaded, has: ['openLmdbJournal', 'createInMemoryJournal', 'readRows', 'BlockReplay'].filter((name) => name in entry) }))`

    const said = execFileSync(process.execPath, ['--input-type=module', '-e', script, ENTRY], { encoding: 'utf8' })

    expect(JSON.parse(said)).toEqual({ loaded: [], has: ['openLmdbJournal', 'createInMemoryJournal', 'readRows', 'BlockReplay'] })
  })
})
