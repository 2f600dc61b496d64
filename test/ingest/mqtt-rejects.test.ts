import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { systemClock } from '#base/clock.js'
import { RejectFile } from '#ingest/mqtt-rejects.js'
import { temporaryDirectory } from './data.js'

const rejectOf = (number: number) => ({
  topic: `t/${number}`,
  kind: 'refused' as const,
  reason: 'NO',
  payload: Buffer.from(String(number)),
})

describe('rejected messages of which one comes while another is written', () => {
  test('are all in the file when they are said to be safe, in order', async () => {
    const path = join(temporaryDirectory(), 'rejects.jsonl')
    const file = new RejectFile({ path, source: 's', clock: systemClock, log: () => undefined })
    const safe: Promise<void>[] = []
    for (let number = 0; number < 50; number++) {
      safe.push(file.add(rejectOf(number)))
      // Somewhere between the beginning of a write and the end of its fsync.
      for (let turn = 0; turn < number % 7; turn++) await new Promise((resolve) => setImmediate(resolve))
    }
    await Promise.all(safe)

    const lines = readFileSync(path, 'utf8').trimEnd().split('\n')
    expect(lines.map((line) => (JSON.parse(line) as { topic: string }).topic)).toEqual(safe.map((_, number) => `t/${number}`))
    await file.close()
  })
})
