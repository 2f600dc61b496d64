import { describe, expect, test } from 'vitest'
import { AssertionError } from '#base/assert.js'
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

  test('calls a second batch before the first is durable a bug', async () => {
    const first = path.append(batchOf([good()]))

    await expect(path.append(batchOf([good()]))).rejects.toThrow(AssertionError)
    await first
  })
})
