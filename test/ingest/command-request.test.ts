import { describe, expect, test } from 'vitest'
import { FakeClock } from '#base/clock.js'
import { CommandRequest } from '#ingest/command-request.js'
import type { Door, IngestCommand } from '#ingest/door.js'
import { RoomBell } from '#ingest/room-bell.js'
import { SOON } from './data.js'
import { FakeDoor, type FakeDoorOptions } from './fake-door.js'

function requestOf(count: number, options: FakeDoorOptions & { source?: string } = {}) {
  const door = new FakeDoor(options)
  const room = new RoomBell(door)
  const clock = new FakeClock()
  const client = { isThere: true }
  const commands = Array.from({ length: count }, (_, index): IngestCommand => {
    return { source: options.source ?? '', sequence: index + 1, entity: `press/${index}`, command: 'sample', data: {}, at: undefined }
  })
  const request = new CommandRequest(commands, { door, room, clock, roomMs: 1000, isWanted: () => client.isThere })
  return { request, door, room, clock, client }
}

describe('the commands of a request', () => {
  test('are offered all at once where there is room, and answered once all are durable', async () => {
    const { request, door } = requestOf(3, { isManual: true })

    expect(await request.offer()).toBe('whole')
    expect(door.inFlightCount).toBe(3)
    let isAnswered = false
    const answering = request.answers().finally(() => (isAnswered = true))
    door.settle(2)
    await Promise.resolve()
    expect(isAnswered).toBe(false)
    door.settle()

    expect(await answering).toMatchObject([{ ok: true }, { ok: true }, { ok: true }])
  })

  test('are answered in their order, in whatever order they become durable', async () => {
    const { request, door } = requestOf(3, { isManual: true, decide: ({ entity }) => ({ reply: entity }) })
    await request.offer()

    for (let left = 3; left > 0; left--) door.settleOne((commands) => commands.length - 1)

    expect(await request.answers()).toMatchObject([{ reply: 'press/0' }, { reply: 'press/1' }, { reply: 'press/2' }])
  })

  test('say what each came to', async () => {
    const { request, door } = requestOf(3, {
      source: 'plc',
      decide: ({ sequence }) => (sequence === 1 ? { refuse: 'NO' } : sequence === 2 ? { fail: 'boom' } : { reply: undefined }),
    })
    await request.offer()
    door.settle()

    expect(await request.answers()).toEqual([
      { ok: false, version: 1, refused: 'NO' },
      { ok: false, error: 'boom' },
      { ok: true, version: 1 },
    ])
  })

  test('say so when they were done too long ago for their answers to be known', async () => {
    const door: Door = {
      offer: (_command, _answer, settle) => (setImmediate(() => settle({ kind: 'forgotten' })), 'accepted'),
      onRoom: () => undefined,
    }
    const commands: IngestCommand[] = [{ source: 'plc', sequence: 1, entity: 'press/1', command: 'sample', data: {}, at: undefined }]
    const request = new CommandRequest(commands, {
      door,
      room: new RoomBell(door),
      clock: new FakeClock(),
      roomMs: 1,
      isWanted: () => true,
    })
    await request.offer()

    expect(await request.answers()).toEqual([{ ok: null, forgotten: true }])
  })

  test('wait for room as long as some is found in time, then are full', async () => {
    const { request, door, room, clock } = requestOf(4, { isManual: true, capacity: 1 })
    const offering = request.offer()
    for (const taken of [1, 2]) {
      await expect.poll(() => [request.takenCount, room.waitingCount], SOON).toEqual([taken, 1])
      clock.advance(900)
      door.settle()
    }
    await expect.poll(() => request.takenCount, SOON).toBe(3)
    await expect.poll(() => room.waitingCount, SOON).toBe(1)

    clock.advance(1000)

    expect(await offering).toBe('full')
    expect(room.waitingCount).toBe(0)
    door.settle()
    expect(await request.answers()).toHaveLength(3)
  })

  test('are full although others go on, when nothing of theirs finds room', async () => {
    const { request, door, room, clock } = requestOf(1, { capacity: 0 })
    const offering = request.offer()
    for (let moment = 0; moment < 10; moment++) {
      await expect.poll(() => room.waitingCount, SOON).toBe(1)
      clock.advance(99)
      door.makeRoom()
      await Promise.resolve()
    }
    await expect.poll(() => room.waitingCount, SOON).toBe(1)

    clock.advance(10)

    expect(await offering).toBe('full')
  })

  test('end behind one that can never be taken', async () => {
    const { request, door } = requestOf(3, { reject: ({ sequence }) => (sequence === 2 ? 'not that' : undefined) })

    expect(await request.offer()).toEqual({ rejected: 'not that' })
    expect(request.takenCount).toBe(1)
    expect(door.offers).toBe(2)
  })

  test('are no longer offered once nobody waits for the answer', async () => {
    const { request, door, room, client } = requestOf(3, { isManual: true, capacity: 1 })
    const offering = request.offer()
    await expect.poll(() => room.waitingCount, SOON).toBe(1)
    client.isThere = false

    door.settle()

    expect(await offering).toBe('left')
    expect(request.takenCount).toBe(1)
  })

  test('leave the event loop its turns, however many they are', async () => {
    const { request } = requestOf(5000, { capacity: 10_000, isManual: true })
    let turns = 0
    let isOver = false
    const count = () => {
      turns++
      if (!isOver) setImmediate(count)
    }
    setImmediate(count)

    await request.offer()
    isOver = true

    expect(turns).toBeGreaterThan(5)
  })
})
