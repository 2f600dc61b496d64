/**
 * Appends to the log in argv[2], which seals its segments beside that, under the term argv[3] until it is killed, and says on stdout how many appends are acknowledged, one line
 * per batch. Each append is one row whose value counts up over all terms, from argv[4].
 */
import { createCodec } from '../../../dist/src/schema/index.js'
import { appendHeaderBytes, openLmdbJournal, ROW_HEADER_BYTES, writeAppendHeader, writeRowHeader } from '../../../dist/src/journal.js'
import { shardOfId } from '../../../dist/src/base/ids.js'

const [directory, termText, firstText] = process.argv.slice(2)
const term = Number(termText)
const journal = await openLmdbJournal({ directory, headsEveryRows: 500, segmentRowsMax: 700 })
const field = (name, kind) => ({ name, kind, isOptional: false })
const [type] = await journal.register([{ entity: 'press', event: 'Counted', fields: [field('value', 'f64'), field('state', 'label')] }])
const codec = createCodec(type.fields)
const utf8 = new TextEncoder()
const none = new Uint8Array(0)
const bytes = new Uint8Array(1 << 20)
const view = new DataView(bytes.buffer)

const heads = new Map()
for (let shard = 0; shard < journal.shardCount; shard++) {
  for (const head of journal.heads(shard)) heads.set(head.entity, { version: head.version, term: head.term, number: head.appendNumber })
}

let value = Number(firstText)
let number = 0
for (;;) {
  const offsets = []
  const lengths = []
  let end = 0
  const count = 1 + ((value * 7919) % 200)
  for (let index = 0; index < count; index++) {
    const entity = `press/press-${value % 97}`
    const base = heads.get(entity) ?? { version: 0, term: 0, number: 0 }
    const data = { value, state: ['RUNNING', 'IDLE'][value % 2] }
    const header = {
      ...{ number: ++number, term, expectedVersion: base.version, baseTerm: base.term, baseNumber: base.number, rowCount: 1 },
      ...{
        shard: shardOfId(entity, journal.shardCount),
        at: value,
        accepted: value,
        sequence: value,
        entity: utf8.encode(entity),
        source: utf8.encode('child'),
      },
      ...{ correlation: none, causation: none, outcome: none, outcomeKind: 0, flags: 0 },
    }
    const payloadBytes = codec.encodedBytes(data)
    offsets.push(end)
    lengths.push(appendHeaderBytes(header) + ROW_HEADER_BYTES + payloadBytes)
    const row = writeAppendHeader(header, bytes, view, end)
    end = codec.encode(data, bytes, view, writeRowHeader(type.number, payloadBytes, view, row))
    heads.set(entity, { version: base.version + 1, term, number })
    value++
  }
  const zeros = offsets.map(() => 0)
  const answer = await journal.append({ count, memories: [{ bytes, view }], memory: zeros, offsets, lengths, slots: zeros })
  if (answer.rowCount !== count) throw new Error(`stored ${answer.rowCount} of ${count}: ${JSON.stringify(answer.rejected[0])}`)
  process.stdout.write(`${value}\n`)
}
