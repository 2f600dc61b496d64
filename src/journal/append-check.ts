import { messageOf } from '#base/errors.js'
import { parseEntityId, shardOfId } from '#base/ids.js'
import { createCodec, decodePayload } from '#schema/index.js'
import { AppendReader, RECEIPT_TYPE, ROW_HEADER_BYTES } from './append-frame.js'
import type { EventType } from './journal.js'
import type { Memory } from './name-table.js'

/** What an append frame is held against. */
export interface AppendRules {
  readonly types: readonly EventType[]
  readonly shardCount: number
}

/**
 * Why no worker can have written the append frame at `offset`; undefined for a good one. Decodes all of it: asked when a batch could not be judged or encoded, to
 * tell whose frame it was.
 */
export function whyNotAppend(memory: Memory, offset: number, length: number, rules: AppendRules): string | undefined {
  try {
    const frame = new AppendReader(memory.bytes, memory.view).at(offset, length)
    const id = new TextDecoder('utf-8', { fatal: true }).decode(
      memory.bytes.slice(frame.entityOffset, frame.entityOffset + frame.entityBytes),
    )
    parseEntityId(id)
    if (frame.term === 0) return 'it is of no term'
    if (frame.rowCount === 0) return 'it has no rows'
    if (shardOfId(id, rules.shardCount) !== frame.shard) return 'its shard is not that of its entity'
    const end = offset + length
    let row = frame.rowsOffset
    for (let index = 0; index < frame.rowCount; index++) {
      if (row + ROW_HEADER_BYTES > end) return 'it has fewer rows than it says'
      const start = row + ROW_HEADER_BYTES
      row = start + frame.rowPayloadBytes(row)
      if (row > end) return 'its rows go on behind its end'
      const wrong = whyNotPayload(frame.rowType(start - ROW_HEADER_BYTES), memory.bytes.slice(start, row), rules.types)
      if (wrong !== undefined) return wrong
    }
    return row === end ? undefined : 'its rows end before it does'
  } catch (error) {
    return messageOf(error)
  }
}

function whyNotPayload(type: number, payload: Uint8Array, types: readonly EventType[]): string | undefined {
  if (type === RECEIPT_TYPE) return payload.length === 0 ? undefined : 'a receipt in it has a payload'
  const known = types.find(({ number }) => number === type)
  if (known === undefined) return `it has a row of type ${type}, which the log does not know`
  decodePayload(createCodec(known.fields), payload)
  return undefined
}
