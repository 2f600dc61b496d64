import { mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { Replacement } from '#processes/supervision-event.js'
import { RecoveryLog } from '#recovery/recovery-log.js'

let directory: string

beforeEach(() => {
  directory = join(mkdtempSync(join(tmpdir(), 'millrace-recoveries-')), 'recoveries')
})

afterEach(() => rmSync(join(directory, '..'), { recursive: true, force: true }))

describe('a recovery log', () => {
  test('gives back what was added, oldest first', () => {
    const log = new RecoveryLog(directory)
    log.add(replacementOf({ term: 7 }), 1_790_000_000_000_000)
    log.add(replacementOf({ term: 8, ms: 12.5, details: { entities: 3, events: 40 } }), 1_790_000_000_000_001)

    const recoveries = new RecoveryLog(directory).read()

    expect(recoveries.map((recovery) => recovery.term)).toEqual([7, 8])
    expect(recoveries[1]).toEqual({
      process: 'worker/1',
      cause: 'SIGKILL',
      rtoMs: 12.5,
      entities: 3,
      events: 40,
      phases: { noticed: 0, reaped: 0, started: 1, ready: 2 },
      at: 1_790_000_000_000_001,
      pid: 4711,
      term: 8,
      attempts: 1,
    })
  })

  test('keeps no more files than its bound, the newest', () => {
    const log = new RecoveryLog(directory, 3)

    for (let term = 1; term <= 10; term++) log.add(replacementOf({ term }), 1_790_000_000_000_000 + term)

    expect(log.read().map((recovery) => recovery.term)).toEqual([8, 9, 10])
    expect(log.read(1).map((recovery) => recovery.term)).toEqual([10])
    expect(log.read(0)).toEqual([])
    expect(readdirSync(directory).length).toBe(3)
  })

  test('passes over what is no recovery', () => {
    const log = new RecoveryLog(directory)
    log.add(replacementOf({}), 1_790_000_000_000_000)
    writeFileSync(join(directory, '1790000000000009-worker-0-9.json'), '{"process":')
    writeFileSync(join(directory, 'notes.txt'), 'x')

    expect(log.read().length).toBe(1)
  })

  test('is for its owner alone', () => {
    new RecoveryLog(directory).add(replacementOf({}), 1_790_000_000_000_000)

    expect(statSync(directory).mode & 0o777).toBe(0o700)
    expect(statSync(join(directory, readdirSync(directory)[0] as string)).mode & 0o777).toBe(0o600)
  })
})

function replacementOf(parts: Partial<Replacement>): Replacement {
  return {
    role: 'worker',
    slot: 1,
    pid: 4711,
    term: 2,
    cause: { kind: 'signal', signal: 'SIGKILL' },
    ms: 3,
    phases: { noticed: 0, reaped: 0, started: 1, ready: 2 },
    attempts: 1,
    details: {},
    ...parts,
  }
}
