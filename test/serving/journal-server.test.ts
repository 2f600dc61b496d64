import { describe, expect, test } from 'vitest'
import type { EntityId } from '#base/ids.js'
import { FakeClock } from '#base/clock.js'
import { MillraceError } from '#base/errors.js'
import { channelBytes, Consumer, createChannel, NO_PEER, Producer } from '#bus/index.js'
import { PUBLISHED_WORD } from '#bus/layout.js'
import { InMemoryJournal } from '#journal/in-memory/in-memory-journal.js'
import type { AppendAnswer, AppendBatch, Row } from '#journal/index.js'
import { JournalClient } from '#serving/journal-client.js'
import { JournalServer } from '#serving/journal-server.js'
import { APPEND_FRAME, LOAD_BEGIN, LOAD_BLOCK, LOAD_END, LOAD_HEADS, LOAD_SNAPSHOTS, REJECTED_CONFLICT } from '#serving/serving-frames.js'
import { ALARM_RAISED, SAMPLED, TestWriter } from '../journal/writer.js'

/** Counts the frames of each batch by slot, and can be made to fail. */
class WatchedJournal extends InMemoryJournal {
  readonly batches: number[][] = []
  failure: Error | undefined

  override async append(batch: AppendBatch): Promise<AppendAnswer> {
    if (this.failure !== undefined) throw this.failure
    this.batches.push(Array.from({ length: batch.count }, (_, index) => batch.slots[index] as number))
    return super.append(batch)
  }
}

interface ServedOptions {
  readonly workers?: number
  readonly framesMax?: number
  readonly answerBytes?: number
  readonly bulkBytes?: number
  readonly gather?: { readonly framesMin: number; readonly ms: number }
  readonly enoughBytes?: number
}

class Served {
  readonly journal = new WatchedJournal({ shardCount: 8 })
  readonly clients: JournalClient[] = []
  readonly writers: TestWriter[] = []
  readonly failures: unknown[] = []
  readonly clock = new FakeClock()
  wakes = 0
  readonly server: JournalServer

  static async open(options: ServedOptions = {}): Promise<Served> {
    const served = new Served(options)
    await served.journal.register([SAMPLED, ALARM_RAISED])
    for (let slot = 0; slot < served.clients.length; slot++) {
      served.writers.push(new TestWriter(served.journal.eventTypes, { slot, shardCount: 8 }))
    }
    return served
  }

  private constructor(options: ServedOptions) {
    const { workers = 1, framesMax = 100, answerBytes = 4096, bulkBytes = 4096 } = options
    const links = Array.from({ length: workers }, (_, slot) => {
      const [appends, answers, bulk] = [channel(65_536), channel(answerBytes), channel(bulkBytes)]
      this.clients.push(new JournalClient({ appends: appends.producer, answers: answers.consumer, bulk: bulk.consumer }))
      return { slot, appends: appends.consumer, answers: answers.producer, bulk: bulk.producer }
    })
    this.server = new JournalServer({
      journal: this.journal,
      links,
      clock: this.clock,
      framesMax,
      bytesMax: 1 << 20,
      ...(options.gather === undefined ? {} : { gather: options.gather }),
      ...(options.enoughBytes === undefined ? {} : { enoughBytes: options.enoughBytes }),
      onFatal: (error) => this.failures.push(error),
      wake: () => this.wakes++,
    })
  }

  append(frame: Uint8Array, slot = 0): void {
    const { appends } = this.clients[slot] as JournalClient
    const offset = appends.tryClaim(frame.length, APPEND_FRAME)
    appends.bytes.set(frame, offset)
    appends.commit()
    appends.publish()
  }

  sample(entity: EntityId, slot = 0): void {
    this.append((this.writers[slot] as TestWriter).sample(entity, 1), slot)
  }

  isReleased(slot = 0): boolean {
    const client = this.clients[slot] as JournalClient
    return client.releasedPosition() === client.sentPosition
  }

  async settle(): Promise<void> {
    for (let round = 0; round < 1000 && !this.server.isIdle; round++) {
      this.server.doWork()
      await breathe()
    }
    expect(this.server.isIdle).toBe(true)
  }

  /** Kinds of the messages that have come, with their load's number. */
  async loaded(slot = 0): Promise<(readonly [load: number, kind: number])[]> {
    const kinds: (readonly [number, number])[] = []
    for (let round = 0; round < 200; round++) {
      this.server.doWork()
      for (let message = this.clients[slot]?.pollLoad(); message !== undefined; message = this.clients[slot]?.pollLoad()) {
        kinds.push([message.load, message.kind])
      }
      await breathe()
    }
    return kinds
  }
}

function channel(capacityBytes: number): { readonly producer: Producer; readonly consumer: Consumer } {
  const memory = new SharedArrayBuffer(channelBytes(capacityBytes))
  createChannel(memory, { capacityBytes, schemaHash: 0, name: 'test' })
  const holder = { pid: 1, startTime: 0, term: 1, schemaHash: 0, peer: NO_PEER }
  return { producer: new Producer(memory, holder), consumer: new Consumer(memory, holder) }
}

async function rowsOf({ journal }: Served): Promise<Row[]> {
  const rows: Row[] = []
  for await (const row of journal.read({ from: 0 })) rows.push(row)
  return rows
}

function breathe(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve))
}

describe('frames that came while an append was on its way', () => {
  test('become the next group', async () => {
    const served = await Served.open()
    served.sample('press/1')
    served.server.doWork()
    served.sample('press/1')
    served.sample('press/2')
    served.server.doWork()
    expect(served.journal.batches).toEqual([[0]])

    await served.settle()

    expect(served.journal.batches).toEqual([[0], [0, 0]])
    expect(served.isReleased()).toBe(true)
  })

  test('are taken from all rings in turn, so that a full one keeps nobody waiting', async () => {
    const served = await Served.open({ workers: 2, framesMax: 2 })
    for (let count = 0; count < 6; count++) served.sample('press/busy', 0)
    served.sample('press/rare', 1)

    await served.settle()

    expect(served.journal.batches.slice(0, 2)).toEqual([
      [0, 0],
      [1, 0],
    ])
  })
})

describe('a channel whose published position was written over', () => {
  test.each([1, -8, -925_678_617, 65_544, 0x7fff_fff8])('is looked at and given up, off by %d', async (offBy) => {
    const { clients, server } = await Served.open({ workers: 2 })
    expect(server.hasWork()).toBe(false)
    const words = new Int32Array((clients[1] as JournalClient).appends.bytes.buffer)
    words[PUBLISHED_WORD] = (words[PUBLISHED_WORD] as number) + offBy
    expect(server.hasWork()).toBe(true)
    expect(() => server.doWork()).toThrow(/the channel is damaged/)
  })
})

describe('frames that are many while an append is on its way', () => {
  test('become a second group at once, and a third waits for the first', async () => {
    const served = await Served.open({ enoughBytes: 200 })
    served.sample('press/1')
    served.server.doWork()
    served.sample('press/1')
    served.server.doWork()
    expect(served.journal.batches).toEqual([[0]])
    served.sample('press/2')
    served.server.doWork()
    for (let count = 0; count < 3; count++) served.sample('press/3')
    served.server.doWork()
    expect(served.journal.batches).toEqual([[0], [0, 0]])
    expect(served.server.hasWork()).toBe(false)

    await served.settle()

    expect(served.journal.batches).toEqual([[0], [0, 0], [0, 0, 0]])
    expect(served.isReleased()).toBe(true)
  })

  test('build on what the first group stores, and both groups are answered in order', async () => {
    const served = await Served.open({ enoughBytes: 100 })
    const [client, writer] = [served.clients[0] as JournalClient, served.writers[0] as TestWriter]
    served.sample('press/1')
    served.append(writer.sample('press/8', 1, { expectedVersion: 7 }))
    served.server.doWork()
    served.sample('press/1')
    served.append(writer.sample('press/9', 1, { expectedVersion: 7 }))
    served.server.doWork()
    expect(served.journal.batches).toHaveLength(2)

    await served.settle()

    expect([client.pollRejection()?.appendNumber, client.pollRejection()?.appendNumber]).toEqual([2, 4])
    expect(served.journal.endPosition).toBe(2)
  })

  test('wait behind a group that found no room, and get in after it', async () => {
    const served = await Served.open({ enoughBytes: 100 })
    served.journal.failure = new MillraceError('ERR_JOURNAL_FULL', { fact: 'there is no room', action: 'retry' })
    served.sample('press/1')
    served.server.doWork()
    served.sample('press/2')
    served.server.doWork()
    await breathe()
    expect(served.server.isOutOfRoom).toBe(true)

    served.journal.failure = undefined
    served.clock.advance(250)
    await served.settle()

    expect(served.journal.batches).toEqual([[0], [0]])
    expect((await rowsOf(served)).map(({ entity }) => entity)).toEqual(['press/1', 'press/2'])
    expect(served.server.isOutOfRoom).toBe(false)
  })
})

describe('a server that gathers', () => {
  test('lets the group behind a large one grow until its time has come, and says when', async () => {
    const served = await Served.open({ gather: { framesMin: 2, ms: 3 } })
    served.sample('press/1')
    served.sample('press/2')
    await served.settle()
    served.sample('press/3')
    served.server.doWork()
    served.clock.advance(2)
    served.sample('press/4')

    expect(served.server.doWork()).toBe(0)
    expect(served.server.hasWork()).toBe(false)
    expect(served.journal.batches).toEqual([[0, 0]])

    const wakesBefore = served.wakes
    served.clock.advance(1)
    expect(served.wakes).toBe(wakesBefore + 1)
    expect(served.server.hasWork()).toBe(true)
    await served.settle()
    expect(served.journal.batches).toEqual([
      [0, 0],
      [0, 0],
    ])
  })

  test('lets nothing wait behind a small group, nor once the time is over', async () => {
    const served = await Served.open({ gather: { framesMin: 2, ms: 3 } })
    served.sample('press/1')
    await served.settle()
    served.sample('press/2')
    served.sample('press/2')
    await served.settle()
    served.clock.advance(3)
    served.sample('press/3')
    await served.settle()

    expect(served.journal.batches).toEqual([[0], [0, 0], [0]])
  })
})

describe('an append that is on its way', () => {
  test('is not released before it is durable', async () => {
    const served = await Served.open()
    served.sample('press/1')
    served.server.doWork()
    expect(served.isReleased()).toBe(false)

    await breathe()
    expect(served.isReleased()).toBe(false)
    served.server.doWork()

    expect(served.isReleased()).toBe(true)
  })

  test('ends the server when the disk breaks, with nothing released', async () => {
    const served = await Served.open()
    served.journal.failure = new Error('input/output error')
    served.sample('press/1')
    served.server.doWork()
    await breathe()

    expect(served.failures).toEqual([served.journal.failure])
    expect(served.server.hasWork()).toBe(false)
    expect(served.server.doWork()).toBe(0)
    expect(served.isReleased()).toBe(false)
  })

  test('is tried again after a while when there is no room', async () => {
    const served = await Served.open()
    served.journal.failure = new MillraceError('ERR_JOURNAL_FULL', { fact: 'there is no room', action: 'retry' })
    served.sample('press/1')
    served.server.doWork()
    await breathe()
    served.sample('press/1')
    expect(served.server.isOutOfRoom).toBe(true)
    expect(served.server.doWork()).toBe(0)
    expect(served.server.hasWork()).toBe(false)

    served.journal.failure = undefined
    served.clock.advance(250)
    await served.settle()

    expect(served.journal.batches).toEqual([[0], [0]])
    expect(served.failures).toEqual([])
    expect(served.server.counters.noRoom).toBe(1)
  })
})

describe('an append that is rejected', () => {
  test('has its rejection published before it is released', async () => {
    // Room for five rejections at a time.
    const served = await Served.open({ answerBytes: 128 })
    const numbers = Array.from({ length: 12 }, (_, index) => index + 1)
    const [client, writer] = [served.clients[0] as JournalClient, served.writers[0] as TestWriter]
    for (const number of numbers) served.append(writer.sample('press/1', number, { expectedVersion: 7 }))
    served.server.doWork()
    await breathe()

    const seen: (number | undefined)[] = []
    for (let round = 0; round < 10; round++) {
      served.server.doWork()
      if (served.isReleased()) break
      expect(served.server.hasWork()).toBe(false)
      seen.push(client.pollRejection()?.appendNumber)
      expect(served.server.hasWork()).toBe(true)
    }
    for (let rest = client.pollRejection(); rest !== undefined; rest = client.pollRejection()) seen.push(rest.appendNumber)

    expect(seen).toEqual(numbers)
    expect(served.isReleased()).toBe(true)
  })

  test('tells its number, its term, why, and what the log has', async () => {
    const served = await Served.open()
    served.sample('press/1')
    served.append((served.writers[0] as TestWriter).sample('press/1', 1, { expectedVersion: 7, term: 3, number: 9 }))

    await served.settle()

    expect(served.clients[0]?.pollRejection()).toEqual({ appendNumber: 9, term: 3, headVersion: 1, kind: REJECTED_CONFLICT })
  })
})

describe('a load', () => {
  const ALL = { term: 1, shards: [0, 1, 2, 3, 4, 5, 6, 7], entity: undefined, isWhole: false }

  test('is answered behind everything that stood before it in its ring', async () => {
    const served = await Served.open()
    const client = served.clients[0] as JournalClient
    served.sample('press/1')
    client.tryLoad(ALL)
    client.appends.publish()

    expect(await served.loaded()).toEqual([
      [1, LOAD_BEGIN],
      [1, LOAD_HEADS],
      [1, LOAD_BLOCK],
      [1, LOAD_END],
    ])
    expect(served.isReleased()).toBe(true)
  })

  test('is cut into pieces that fit the channel', async () => {
    const served = await Served.open({ bulkBytes: 128 })
    for (let index = 0; index < 20; index++) served.sample(`press/${index}`)
    ;(served.clients[0] as JournalClient).tryLoad(ALL)
    served.clients[0]?.appends.publish()

    const kinds = await served.loaded()

    expect(kinds.at(-1)).toEqual([1, LOAD_END])
    expect(served.server.isIdle).toBe(true)
  })

  test('of one entity sends its snapshot and no block that the snapshot covers', async () => {
    const served = await Served.open()
    const client = served.clients[0] as JournalClient
    served.sample('press/1')
    client.trySnapshot(new TextEncoder().encode('press/1'), 1, 1, 1, new Uint8Array([1]))
    client.appends.publish()
    await served.settle()
    client.tryLoad({ term: 1, shards: [], entity: 'press/1', isWhole: false })
    client.appends.publish()

    expect((await served.loaded()).map(([, kind]) => kind)).toEqual([LOAD_BEGIN, LOAD_HEADS, LOAD_SNAPSHOTS, LOAD_END])
  })

  test('without snapshots sends every block', async () => {
    const served = await Served.open()
    const client = served.clients[0] as JournalClient
    served.sample('press/1')
    client.trySnapshot(new TextEncoder().encode('press/1'), 1, 1, 1, new Uint8Array([1]))
    client.appends.publish()
    await served.settle()
    client.tryLoad({ term: 1, shards: [], entity: 'press/1', isWhole: true })
    client.appends.publish()

    expect((await served.loaded()).map(([, kind]) => kind)).toEqual([LOAD_BEGIN, LOAD_HEADS, LOAD_BLOCK, LOAD_END])
  })

  test('that a predecessor of the worker asked for is given up when the successor asks', async () => {
    const served = await Served.open({ bulkBytes: 128 })
    const client = served.clients[0] as JournalClient
    for (let index = 0; index < 50; index++) served.sample(`press/${index}`)
    for (let count = 0; count < 3; count++) client.tryLoad(ALL)
    client.appends.publish()
    for (let round = 0; round < 10; round++) {
      served.server.doWork()
      await breathe()
    }
    client.tryLoad({ ...ALL, term: 2 })
    client.appends.publish()

    const kinds = await served.loaded()

    expect(new Set(kinds.map(([load]) => load))).toEqual(new Set([4]))
    expect(kinds.at(-1)).toEqual([4, LOAD_END])
  })
})

describe('a snapshot that comes behind its append', () => {
  function snapshotOf(served: Served, version: number, appendNumber: number): void {
    const client = served.clients[0] as JournalClient
    client.trySnapshot(new TextEncoder().encode('press/1'), version, 1, appendNumber, new Uint8Array([version]))
    client.appends.publish()
  }
  const versions = (served: Served) => served.journal.stored.snapshots.get('press/1')?.map(({ version }) => version)

  test('is kept when the append was stored, also with later ones behind it', async () => {
    const served = await Served.open()
    served.sample('press/1')
    snapshotOf(served, 1, 1)
    served.sample('press/1')

    await served.settle()

    expect(versions(served)).toEqual([1])
  })

  test('is kept in a later group when its row is still the newest, and left out when it is not', async () => {
    const served = await Served.open({ framesMax: 1 })
    served.sample('press/1')
    snapshotOf(served, 1, 1)
    await served.settle()
    expect(versions(served)).toEqual([1])
    served.sample('press/1')
    await served.settle()

    snapshotOf(served, 1, 1)
    await served.settle()

    expect(served.journal.stored.snapshots.get('press/1')?.[0]?.position).toBe(1)
  })

  test('is left out when the append was rejected, even if there is a row of that version', async () => {
    const served = await Served.open()
    served.sample('press/1')
    await served.settle()
    served.append((served.writers[0] as TestWriter).sample('press/1', 1, { expectedVersion: 0, baseTerm: 0, baseNumber: 0 }))
    snapshotOf(served, 1, 2)

    await served.settle()

    expect(versions(served)).toBeUndefined()
  })
})
