import { describe, expect, test } from 'vitest'
import { AssertionError } from '#base/assert.js'
import { sha256 } from '#base/hash.js'
import { AppendPath, type BlockStore } from '#journal/append-path.js'
import { LogState } from '#journal/log-state.js'
import { batchOf, SAMPLED, TestWriter } from './writer.js'

function pathOver(store: Partial<BlockStore>) {
  const state = new LogState(64, 100, [{ ...SAMPLED, number: 1 }])
  const path = new AppendPath(state, { checkRoom() {}, put: async (_, __, whileBusy) => whileBusy(), ...store })
  return { state, path, writer: new TestWriter(state.eventTypes) }
}

describe('an append path whose disk fails', () => {
  test('settles nothing and takes nothing more, since what is on the disk is not known', async () => {
    const broken = new Error('EIO')
    const { state, path, writer } = pathOver({ put: () => Promise.reject(broken) })

    await expect(path.append(batchOf([writer.sample('press/a', 1)]))).rejects.toBe(broken)
    await expect(path.append(batchOf([writer.sample('press/b', 1)]))).rejects.toBe(broken)

    expect([state.endPosition, state.entities.head(0), state.storedMark(0)]).toEqual([0, undefined, undefined])
    expect(path.hasFailed).toBe(true)
  })

  test('is as it was when there was only no room', async () => {
    let room = 0
    const full = new Error('full')
    const { path, writer } = pathOver({
      checkRoom(bytes) {
        if (bytes > room) throw full
      },
    })
    const batch = batchOf([writer.sample('press/a', 1)])

    await expect(path.append(batch)).rejects.toBe(full)
    room = 10_000_000
    const answer = await path.append(batch)

    expect(answer).toEqual({ basePosition: 0, rowCount: 1, rejected: [], known: 0 })
  })
})

describe('an append path with two batches at a time', () => {
  test('takes the second when the disk has the first, so that the disk does not wait for it', async () => {
    const disk: { hand?: () => void; done?: () => void } = {}
    const { state, path, writer } = pathOver({
      put: (_, __, whileBusy) =>
        new Promise<void>((resolve) => {
          disk.hand = whileBusy
          disk.done = resolve
        }),
    })
    const first = path.append(batchOf([writer.sample('press/a', 1)]))
    const second = path.append(batchOf([writer.sample('press/b', 1)]))
    await until(() => disk.hand !== undefined)
    const before = state.entities.findId('press/b')
    disk.hand?.()
    await until(() => state.entities.findId('press/b') === 1)
    disk.done?.()
    await first
    await until(() => state.endPosition === 1)
    disk.hand?.()
    disk.done?.()

    expect(before).toBe(-1)
    expect(await second).toMatchObject({ basePosition: 1, rowCount: 1 })
  })

  test('refuses the second with the first when that finds no room, however little it takes itself', async () => {
    let roomBytes = 70_000
    const full = new Error('full')
    const { path, writer } = pathOver({
      checkRoom(bytes) {
        if (bytes > roomBytes) throw full
      },
    })
    const large = batchOf(Array.from({ length: 100 }, () => writer.sample('press/a', 1)))
    const small = batchOf([writer.sample('press/a', 1)])

    const refused = await Promise.allSettled([path.append(large), path.append(small)])
    roomBytes = Infinity
    const stored = await Promise.all([path.append(large), path.append(small)])

    expect(refused.map((one) => one.status === 'rejected' && one.reason === full)).toEqual([true, true])
    expect(stored.map(({ rowCount, rejected }) => [rowCount, rejected.length])).toEqual([
      [100, 0],
      [1, 0],
    ])
  })

  test('judges the second by the first, stores them one after the other, and shows readers only what is durable', async () => {
    const puts: { readonly base: number; readonly hash: Uint8Array; done(): void }[] = []
    const { state, path, writer } = pathOver({
      put: (base, block, whileBusy) =>
        new Promise<void>((resolve) => {
          whileBusy()
          puts.push({ base, hash: sha256(block), done: resolve })
        }),
    })
    const [a1, a2, b1] = [writer.sample('press/a', 1), writer.sample('press/a', 2), writer.sample('press/b', 1)]

    const first = path.append(batchOf([a1]))
    const second = path.append(batchOf([a2, a1, b1]))
    await until(() => puts.length === 1)
    const whileFirst = [state.endPosition, state.entities.head(0)]
    puts[0]?.done()
    const firstAnswer = await first
    const afterFirst = [state.endPosition, state.entities.head(0)?.version, state.entities.head(1)]
    await until(() => puts.length === 2)
    puts[1]?.done()

    expect(whileFirst).toEqual([0, undefined])
    expect(firstAnswer).toEqual({ basePosition: 0, rowCount: 1, rejected: [], known: 0 })
    expect(afterFirst).toEqual([1, 1, undefined])
    expect(await second).toEqual({ basePosition: 1, rowCount: 2, rejected: [], known: 1 })
    expect(puts.map(({ base }) => base)).toEqual([0, 1])
    expect(state.lastHash).toEqual(puts[1]?.hash)
    expect([state.endPosition, state.entities.head(0)?.version, state.entities.head(1)?.version]).toEqual([3, 2, 1])
    await path.idle()
  })

  test('answers what is stored already no sooner than that is durable', async () => {
    let done: () => void = () => {}
    const { path, writer } = pathOver({ put: () => new Promise<void>((resolve) => (done = resolve)) })
    const frame = writer.sample('press/a', 1)
    const order: string[] = []

    const first = path.append(batchOf([frame])).then(() => order.push('stored'))
    const second = path.append(batchOf([frame])).then(({ known }) => order.push(`known ${known}`))
    await new Promise((resolve) => setImmediate(resolve))
    const before = [...order]
    done()
    await Promise.all([first, second])

    expect(before).toEqual([])
    expect(order).toEqual(['stored', 'known 1'])
  })

  test('stores nothing of the second when the first cannot be stored', async () => {
    const broken = new Error('EIO')
    let puts = 0
    const { state, path, writer } = pathOver({
      put: () => {
        puts++
        return Promise.reject(broken)
      },
    })

    const both = [1, 2].map((value) => path.append(batchOf([writer.sample('press/a', value)])))

    expect((await Promise.allSettled(both)).map(({ status }) => status)).toEqual(['rejected', 'rejected'])
    expect([puts, state.endPosition]).toEqual([1, 0])
  })

  test('keeps the mark of a batch in which everything was rejected for the next block', async () => {
    const { state, path, writer } = pathOver({})

    await path.append(batchOf([writer.sample('press/a', 1, { expectedVersion: 5, baseTerm: 1, baseNumber: 3 })]))
    const before = state.storedMark(0)
    await path.append(batchOf([writer.sample('press/b', 1)], 1))

    expect(before).toBeUndefined()
    expect(state.storedMark(0)).toEqual({ term: 1, number: 1 })
  })
})

async function until(condition: () => boolean): Promise<void> {
  for (let turn = 0; turn < 100 && !condition(); turn++) await new Promise((resolve) => setImmediate(resolve))
  expect(condition()).toBe(true)
}

describe('an append path given what no worker writes', () => {
  const { path, writer } = pathOver({})
  const good = () => writer.sample('press/a', 1, { expectedVersion: 0, baseTerm: 0, baseNumber: 0 })

  test.each([
    ['an event type that is not registered', (frame: Uint8Array) => new DataView(frame.buffer).setUint16(frame.length - 24, 9, true)],
    ['the shard of another entity', (frame: Uint8Array) => new DataView(frame.buffer).setUint16(20, 63, true)],
    ['a payload longer than its frame', (frame: Uint8Array) => new DataView(frame.buffer).setUint32(frame.length - 20, 999, true)],
    ['no rows', (frame: Uint8Array) => new DataView(frame.buffer).setUint16(22, 0, true)],
    ['no entity', (frame: Uint8Array) => new DataView(frame.buffer).setUint16(48, 0, true)],
    ['strings longer than its frame', (frame: Uint8Array) => new DataView(frame.buffer).setUint32(56, 999_999, true)],
  ])('calls it a bug: %s', async (_, spoil) => {
    const fresh = pathOver({})
    const frame = good()
    spoil(frame)

    await expect(fresh.path.append(batchOf([frame]))).rejects.toThrow(AssertionError)
  })

  test('calls a third batch before the first is durable a bug', async () => {
    const first = path.append(batchOf([good()]))
    const second = path.append(batchOf([good()]))

    await expect(path.append(batchOf([good()]))).rejects.toThrow(AssertionError)
    await Promise.all([first, second])
  })
})
