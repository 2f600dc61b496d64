import { describe, expect, test } from 'vitest'
import { channelBytes, Consumer, createChannel, FRAME_TOO_LARGE, INSUFFICIENT_CAPACITY, NO_PEER, Producer } from '#bus/index.js'
import { JournalClient } from '#serving/journal-client.js'
import { LOAD_FRAME, LOAD_HEADS, PIECE_FRAME, PIECE_HEADER_BYTES, type LoadRequest, SNAPSHOT_FRAME } from '#serving/serving-frames.js'
import { unpack } from '#base/pack.js'

const HOLDER = { pid: 1, startTime: 0, term: 1, schemaHash: 0, peer: NO_PEER }

function channel(capacityBytes: number): { readonly producer: Producer; readonly consumer: Consumer } {
  const memory = new SharedArrayBuffer(channelBytes(capacityBytes))
  createChannel(memory, { capacityBytes, schemaHash: 0, name: 'test' })
  return { producer: new Producer(memory, HOLDER), consumer: new Consumer(memory, HOLDER) }
}

function clientOf(appendsBytes = 4096) {
  const [appends, answers, bulk] = [channel(appendsBytes), channel(4096), channel(4096)]
  const client = new JournalClient({ appends: appends.producer, answers: answers.consumer, bulk: bulk.consumer })
  return { client, appends: appends.consumer, bulk: bulk.producer }
}

/** A piece as a journal writes it; the text stands for what comes from `at` on. */
function sendPiece(bulk: Producer, piece: { load?: number; term?: number; kind?: number; whole: number; at: number; text: string }): void {
  const { load = 1, term = 1, kind = LOAD_HEADS, whole, at, text } = piece
  const offset = bulk.tryClaim(PIECE_HEADER_BYTES + text.length, PIECE_FRAME)
  for (const [index, value] of [load, term, kind, whole, at].entries()) bulk.view.setUint32(offset + index * 4, value, true)
  bulk.bytes.set(new TextEncoder().encode(text), offset + PIECE_HEADER_BYTES)
  bulk.commit()
  bulk.publish()
}

function textOf(message: { readonly bytes: Uint8Array } | undefined): string | undefined {
  return message === undefined ? undefined : new TextDecoder().decode(message.bytes)
}

describe('positions of the appends channel', () => {
  test('go on growing where those of the channel wrap', () => {
    const { client, appends } = clientOf(2 ** 30)
    const frame = 2 ** 28
    for (let count = 1; count <= 20; count++) {
      client.appends.tryClaim(frame - 8, SNAPSHOT_FRAME)
      client.appends.commit()
      client.appends.publish()
      expect(client.sentPosition).toBe(count * frame)
      expect(client.releasedPosition()).toBe((count - 1) * frame)
      appends.next()
      appends.release(appends.endPosition)
      expect(client.releasedPosition()).toBe(count * frame)
    }
    expect(client.sentPosition).toBeGreaterThan(2 ** 32)
  })
})

describe('a request for a load', () => {
  test('carries the term of the worker and a number of its own', () => {
    const { client, appends } = clientOf()

    const numbers = [
      client.tryLoad({ term: 7, shards: [1, 2], entity: undefined, isWhole: false }),
      client.tryLoad({ term: 7, shards: [], entity: 'tally/a', isWhole: true }),
    ]
    client.appends.publish()

    expect(numbers).toEqual([1, 2])
    const requests: unknown[] = []
    for (let offset = appends.next(); offset >= 0; offset = appends.next()) {
      expect(appends.type).toBe(LOAD_FRAME)
      requests.push(unpack<LoadRequest>(appends.bytes.slice(offset, offset + appends.length)))
    }
    expect(requests).toEqual([
      { load: 1, term: 7, shards: [1, 2], entity: undefined, isWhole: false },
      { load: 2, term: 7, shards: [], entity: 'tally/a', isWhole: true },
    ])
  })

  test('is not numbered when there is no room for it, now or ever', () => {
    const { client } = clientOf(1024)
    const request = { term: 1, shards: [], entity: `tally/${'a'.repeat(100)}`, isWhole: false }
    const answers: number[] = []
    for (let count = 0; count < 8; count++) answers.push(client.tryLoad(request))

    expect(answers.filter((answer) => answer > 0)).toEqual(answers.slice(0, answers.indexOf(INSUFFICIENT_CAPACITY)))
    expect(answers.at(-1)).toBe(INSUFFICIENT_CAPACITY)
    expect(client.tryLoad({ ...request, entity: 'a'.repeat(300) })).toBe(FRAME_TOO_LARGE)
  })
})

describe('a message in pieces', () => {
  test('is whole when its last piece has come', () => {
    const { client, bulk } = clientOf()
    sendPiece(bulk, { whole: 6, at: 0, text: 'one' })
    expect(client.pollLoad()).toBeUndefined()

    sendPiece(bulk, { whole: 6, at: 3, text: 'two' })

    const message = client.pollLoad()
    expect(message).toMatchObject({ load: 1, term: 1, kind: LOAD_HEADS })
    expect(textOf(message)).toBe('onetwo')
    expect(client.pollLoad()).toBeUndefined()
  })

  test('may be empty', () => {
    const { client, bulk } = clientOf()
    sendPiece(bulk, { whole: 0, at: 0, text: '' })

    expect(textOf(client.pollLoad())).toBe('')
  })

  test('belongs to nobody when its beginning went to a predecessor', () => {
    const { client, bulk } = clientOf()
    sendPiece(bulk, { whole: 6, at: 3, text: 'two' })
    sendPiece(bulk, { whole: 4, at: 0, text: 'next' })

    expect(textOf(client.pollLoad())).toBe('next')
  })

  test('belongs to nobody when the journal died before its end', () => {
    const { client, bulk } = clientOf()
    sendPiece(bulk, { whole: 6, at: 0, text: 'one' })
    sendPiece(bulk, { load: 2, whole: 6, at: 3, text: 'bad' })
    sendPiece(bulk, { load: 2, whole: 4, at: 0, text: 'next' })

    expect(textOf(client.pollLoad())).toBe('next')
  })

  test('takes a bounded number of pieces at a time', () => {
    const { client, bulk } = clientOf()
    for (const [at, text] of ['a', 'b', 'c', 'd'].entries()) sendPiece(bulk, { whole: 4, at, text })

    expect(client.pollLoad(3)).toBeUndefined()
    expect(client.hasLoadPieces).toBe(true)
    expect(textOf(client.pollLoad(3))).toBe('abcd')
  })
})

describe('a snapshot', () => {
  test('is left out when it is too large for a frame, or when there is no room', () => {
    const { client } = clientOf(1024)
    const entity = new TextEncoder().encode('tally/a')

    expect(client.trySnapshot(entity, 1, 1, 1, new Uint8Array(300))).toBe('never')
    const sent = [1, 2, 3, 4, 5].map(() => client.trySnapshot(entity, 1, 1, 1, new Uint8Array(200)))
    expect(sent).toEqual(['sent', 'sent', 'sent', 'sent', 'no-room'])
  })
})
