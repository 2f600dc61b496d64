import { describe, expect, test } from 'vitest'
import { createInMemoryJournal } from '#journal/in-memory/index.js'
import { readRows } from '#journal/index.js'
import { collect } from '../contracts/journal-adapter.js'
import { batchOf, field, SAMPLED, TestWriter } from './writer.js'

describe('blocks of an event type that had fewer fields when they were written', () => {
  // As logs of version 0 have them, where a type grew in place.
  test('are read with the defaults of those that came later, and without what is optional', async () => {
    const journal = createInMemoryJournal()
    const writer = new TestWriter(await journal.register([SAMPLED]))
    await journal.append(batchOf([writer.sample('press/a', 1)]))
    const later = [
      field('stroke', 'f64', { isOptional: true }),
      field('mode', 'label', { defaultValue: 'auto' }),
      field('more', 'json', { defaultValue: { list: [1] }, isOptional: true }),
    ]
    const grown = { ...SAMPLED, fields: [...SAMPLED.fields, ...later], number: 1 }

    const again = createInMemoryJournal({ stored: { ...journal.stored, types: [grown] } })

    expect((await collect(readRows(again, { from: 0 }))).map(({ data }) => data)).toEqual([
      { temperature: 1, force: 0.5, mode: 'auto', more: { list: [1] } },
    ])
  })
})
