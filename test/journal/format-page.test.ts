import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { unpack } from '#base/pack.js'
import { Prng } from '#base/prng.js'
import { defineEntity } from '#entity/index.js'
import { readRows } from '#journal/index.js'
import { repairLog } from '#journal/lmdb/index.js'
import { openLog } from '#runtime/data-directory.js'
import { openPlant } from '#runtime/inline-plant.js'
import { bool, f32, f64, i32, i64, json, label, text, time } from '#schema/index.js'
import { readByTheBook } from './format-reader.js'

const fields = {
  double: f64(),
  single: f32(),
  small: i32(),
  large: i64(),
  flag: bool(),
  code: label(),
  remark: text({ optional: true }),
  when: time({ optional: true }),
  more: json({ optional: true }),
}
const Probe = defineEntity({
  name: 'probe',
  events: { Measured: fields, Warned: { level: i32() } },
  commands: { measure: fields, idle: {} },
  initial: () => ({ count: 0 }),
  decide: {
    measure(state, command, { emit, refuse }) {
      if (command.small % 11 === 0) return refuse('ELEVEN', { small: command.small })
      emit.Measured(command)
      if (command.flag) emit.Warned({ level: state.count })
      return { count: state.count }
    },
    idle() {},
  },
  apply: {
    Measured(state) {
      state.count++
    },
    Warned() {},
  },
})

let data: string

beforeEach(() => {
  data = mkdtempSync(join(tmpdir(), 'millrace-format-'))
})

afterEach(() => rmSync(data, { recursive: true, force: true }))

/** Values of every kind, some constant for long, some all over the place. */
function measurement(prng: Prng, index: number) {
  const wild = index >= 200
  return {
    double: wild ? (index % 9 === 0 ? (prng.next() - 0.5) * 1e9 : Math.round(prng.next() * 9999) / 100) : 21.5,
    single: wild ? Math.fround(prng.next()) : 0.5,
    small: Math.floor((prng.next() - 0.5) * (wild ? 2 ** 31 : 100)),
    large: wild ? Math.floor(prng.next() * 2 ** 52) : index,
    flag: prng.next() < 0.3,
    code: prng.next() < 0.5 ? 'auto' : 'Überlauf',
    ...(prng.next() < 0.5 ? { remark: 'x'.repeat(index % 7) } : {}),
    ...(prng.next() < 0.5 ? { when: 1_700_000_000_000_000 + index } : {}),
    ...(prng.next() < 0.5 ? { more: { index, list: [1, 'two', null] } } : {}),
  }
}

/** Lets a plant take measurements; it begins with the state that its log has. */
async function measure(prng: Prng, from: number, to: number): Promise<void> {
  const plant = await openPlant({ entities: [Probe], data })
  const sending: Promise<unknown>[] = []
  for (let index = from; index < to; index++) {
    const probe = plant.entity(Probe, `p-${index % 37}`)
    const at = 1_767_000_000_000_000 + (index % 50 === 49 ? -1 : index) * 1000
    const envelope = index % 3 === 0 ? { at } : { at, source: `s-${index % 2}`, sequence: index + 1, correlation: `order ${index % 5}` }
    sending.push(index % 29 === 0 ? probe.idle({}, envelope) : probe.measure(measurement(prng, index), envelope))
    if (index % 100 === 99) await Promise.all(sending)
  }
  await Promise.all(sending)
  await plant.close()
}

async function seal(): Promise<void> {
  const journal = await openLog(data)
  await journal.seal()
  await journal.close()
}

test.each([
  ['as it was written', [600], 0],
  ['sealed', [600], 1],
  ['sealed in two segments', [300, 600], 2],
  ['sealed up to a part that is not', [450, 600], 1],
])('a reader made from the page about the format alone reads what the journal reads: %s', async (_, ends, sealCount) => {
  const prng = new Prng('format')
  for (const [index, end] of ends.entries()) {
    await measure(prng, ends[index - 1] ?? 0, end)
    if (index < sealCount) await seal()
  }

  const { byTheBook, expected } = await readTwice()

  expect(byTheBook.length).toBeGreaterThan(600)
  expect(byTheBook).toEqual(expected)
})

test('a reader made from that page alone reads what repair wrote anew, and not what lies there of before', async () => {
  const prng = new Prng('repair')
  await measure(prng, 0, 450)
  await seal()
  await measure(prng, 450, 600)
  const log = join(data, 'journal', 'log')
  const [active, segment] = readdirSync(log)
    .sort()
    .reverse()
    .map((name) => join(log, name)) as [string, string]
  const damagedFile = damageBlock(segment)
  damageBlock(join(active, 'data.mdb'))

  const { rewritten } = await repairLog(join(data, 'journal'), { isDryRun: false })
  writeFileSync(segment, damagedFile)
  const { byTheBook, expected } = await readTwice()

  expect(rewritten).toHaveLength(2)
  expect(byTheBook.filter(({ event }) => event === '#fenced').length).toBeGreaterThan(1)
  expect(byTheBook).toEqual(expected)
})

/** Changes a bit in the body of the first block in a file; what it is then. */
function damageBlock(path: string): Buffer {
  const bytes = readFileSync(path)
  const at = bytes.indexOf('MRBLOCK\n')
  const hit = at + bytes.readUInt32LE(at + 12) + 5
  bytes[hit] = (bytes[hit] as number) ^ 1
  writeFileSync(path, bytes)
  return bytes
}

/** The rows of the log as the page lets one read them, and as the journal does. */
async function readTwice() {
  const byTheBook = readByTheBook(join(data, 'journal'))
  const journal = await openLog(data, { isReadOnly: true })
  const expected = []
  for await (const row of readRows(journal, { from: 0 })) {
    const { typeNumber: _type, causation: _causation, term: _term, appendNumber: _number, outcome, sequence, ...same } = row
    expected.push({ ...same, sequence: sequence ?? 0, outcome: outcome.length === 0 ? undefined : unpack(outcome) })
  }
  await journal.close()
  return { byTheBook, expected }
}
