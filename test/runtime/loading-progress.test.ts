import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { PROCESS_TABLE_BYTES, ProcessTable } from '#processes/process-table.js'
import { PROCESS_TABLE_NAME } from '#recovery/plant-supervisor.js'
import { loadingProgress } from '#runtime/loading-progress.js'
import { Mapping } from '#shm/index.js'

let directory = ''

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'millrace-loading-'))
})

afterEach(() => {
  rmSync(directory, { recursive: true, force: true })
})

test('tells of each worker that loads entities how many it knows and how many are back', () => {
  const mapping = Mapping.create(join(directory, PROCESS_TABLE_NAME), PROCESS_TABLE_BYTES)
  const table = ProcessTable.create(mapping.buffer)
  for (const slot of [0, 1]) {
    table.process(slot + 1).occupy('worker', process.pid, 1)
    table.process(slot + 1).take(slot, 7)
    table.counters({ role: 'worker', slot }).set('knownEntities', 100)
  }
  table.counters({ role: 'worker', slot: 1 }).set('loadingEntities', 40)

  const progress = loadingProgress(directory)
  mapping.close()

  expect(progress).toEqual([{ worker: 1, known: 100, recovered: 60 }])
})

test('tells of nothing where no plant runs', () => {
  expect(loadingProgress(directory)).toEqual([])
})
