import type { Duplex } from 'node:stream'
import { describe, expect, test } from 'vitest'
import type { Door, IngestCommand, Settlement } from '#ingest/door.js'
import { StreamDoorClient, type StreamDoorClientOptions } from '#ingest/stream-client.js'
import { ERROR, packFrame, STREAM_VERSION, WELCOME } from '#ingest/stream-frames.js'
import { serveStreamDoor } from '#ingest/stream-server.js'
import { FakeDoor } from './fake-door.js'
import { eventually, streamPair } from './stream-ends.js'

describe('a door behind a stream', () => {
  test('takes no more of one source and entity than the entity remembers outcomes, and anything of others', async () => {
    const { client, door, offer } = await openDoor(new FakeDoor({ isManual: true }))

    const offered = Array.from({ length: 17 }, (_, sequence) => offer(command(sequence)))

    expect(offered).toEqual([...Array.from({ length: 16 }, () => 'accepted'), 'full'])
    expect(offer(command(1, 'press/press-2'))).toBe('accepted')
    expect(offer({ ...command(1), source: 'other' })).toBe('accepted')
    let isRoom = false
    client.onRoom(() => {
      isRoom = true
    })
    await eventually('all are in flight', () => door.inFlightCount === 18)
    door.settle(1)
    await eventually('there is room', () => isRoom)
    expect(offer(command(16))).toBe('accepted')
    await client.close()
  })

  test('has an answer for everything that was in flight when the connection was lost, however much was done meanwhile', async () => {
    const { client, door, settlements, offer, lose } = await openDoor(new FakeDoor({ isManual: true, decide: () => ({ refuse: 'NO' }) }))
    for (let sequence = 0; sequence < 16; sequence++) offer(command(sequence))
    await eventually('all are in flight', () => door.inFlightCount === 16)

    lose()
    door.settle()
    await eventually('all were offered again', () => door.inFlightCount === 16)
    door.settle()

    await eventually('all are settled', () => settlements.length === 16)
    expect(new Set(settlements.map(({ kind }) => kind))).toEqual(new Set(['refused']))
    expect(door.refused).toHaveLength(16)
    expect(client.reconnectCount).toBe(1)
    await client.close()
  })

  test('keeps to a credit that became smaller while the connection was lost', async () => {
    const credits = [64, 3]
    const { client, door, settlements, offer, lose } = await openDoor(new FakeDoor({ isManual: true }), { credits })
    for (let n = 0; n < 20; n++) offer(command(1, `press/press-${n}`))
    await eventually('all are in flight', () => door.inFlightCount === 20)

    door.crash(0)
    lose()
    await eventually('what the credit allows was offered again', () => door.inFlightCount === 3)
    while (settlements.length < 20) {
      door.settle()
      expect(door.inFlightCount).toBeLessThanOrEqual(3)
      await new Promise(setImmediate)
    }

    expect(door.stored.map(({ entity }) => entity)).toEqual(Array.from({ length: 20 }, (_, n) => `press/press-${n}`))
    expect(client.failure).toBeUndefined()
    await client.close()
  })

  test('gives commands without a source one of its own, so that sending them again does nothing', async () => {
    const { client, door, settlements, offer, lose } = await openDoor(new FakeDoor({ isManual: true }))
    for (let n = 0; n < 5; n++) offer({ ...command(0), source: '' })
    await eventually('all are in flight', () => door.inFlightCount === 5)

    lose()
    door.settle()
    await eventually('all were offered again', () => door.inFlightCount === 5)
    door.settle()
    await eventually('all are settled', () => settlements.length === 5)

    expect(door.stored.map(({ sequence }) => sequence)).toEqual([1, 2, 3, 4, 5])
    expect(new Set(door.stored.map(({ source }) => source)).size).toBe(1)
    expect(door.stored[0]?.source).toMatch(/^client:/)
    await client.close()
  })

  test('tells of each command once, even when the door does so twice', async () => {
    const { client, settlements, offer, say } = await openDoor(new FakeDoor({ isManual: true }))
    offer(command(1))
    await new Promise(setImmediate)

    for (let times = 0; times < 3; times++) say([4, [1, 1, 99]])
    say([5, 1, 1, 1, null, true])
    say(['nonsense'])
    say([99, 1])

    await eventually('it is settled', () => settlements.length > 0)
    await new Promise(setImmediate)
    expect(settlements).toHaveLength(1)
    expect(client.failure).toBeUndefined()
    await client.close()
  })

  test('is connected anew when the door talks garbage', async () => {
    const { client, door, settlements, offer, write } = await openDoor(new FakeDoor({ isManual: true }))
    offer(command(1))
    await eventually('it is in flight', () => door.inFlightCount === 1)

    write(Buffer.from([0xff, 0xff, 0xff, 0xff]))
    await eventually('it was offered again', () => door.inFlightCount === 2)
    door.settle()

    await eventually('it is settled', () => settlements.length === 1)
    expect(door.stored).toHaveLength(1)
    await client.close()
  })
})

describe('a door that cannot be had', () => {
  test('says its own reason when it refuses to speak', async () => {
    const opening = StreamDoorClient.open({
      connect: async () => speaking((theirs) => theirs.end(packFrame([ERROR, 'this door speaks version 2']))),
      lostWithinMs: 60_000,
    })

    await expect(opening).rejects.toMatchObject({ code: 'ERR_DOOR', message: expect.stringContaining('this door speaks version 2') })
  })

  test('is given up after a while, with the reason of the last attempt', async () => {
    const opening = StreamDoorClient.open({ connect: () => Promise.reject(new Error('nobody listens')), retryMs: 1, lostWithinMs: 20 })

    await expect(opening).rejects.toMatchObject({ code: 'ERR_DOOR_LOST', cause: { message: 'nobody listens' } })
  })

  test('is given up when it can be reached and says nothing', async () => {
    const silent = () => Promise.resolve(speaking(() => undefined))

    await expect(StreamDoorClient.open({ connect: silent, welcomeWithinMs: 5, retryMs: 1, lostWithinMs: 30 })).rejects.toMatchObject({
      code: 'ERR_DOOR_LOST',
    })
  })

  test('is left alone by a client that was closed while it tried to come back', async () => {
    let attempts = 0
    let late: ((socket: Duplex) => void) | undefined
    const [mine, theirs] = streamPair()
    serveStreamDoor(theirs, { door: new FakeDoor() })
    const client = await StreamDoorClient.open({
      connect: () => (attempts++ === 0 ? Promise.resolve(mine) : new Promise((resolve) => (late = resolve))),
      retryMs: 1,
    })

    theirs.destroy()
    await eventually('it tries again', () => late !== undefined)
    await client.close()
    const found = speaking((door) => door.write(packFrame([WELCOME, STREAM_VERSION, 5])))
    late?.(found)

    await eventually('what it found is closed', () => found.destroyed)
    expect(client.offer(command(1), 'refused', () => undefined)).toBe('full')
  })
})

function command(sequence: number, entity: IngestCommand['entity'] = 'press/press-1'): IngestCommand {
  return { source: 'device', sequence, entity, command: 'sample', data: {}, at: undefined }
}

/** An end of a stream at whose other end somebody does something. */
function speaking(speak: (theirs: Duplex) => void): Duplex {
  const [mine, theirs] = streamPair()
  theirs.on('error', () => undefined)
  theirs.resume()
  speak(theirs)
  return mine
}

/** A client at a served door; `lose` breaks the present connection, `say` speaks in the door's place. */
async function openDoor<D extends Door>(door: D, options: Partial<StreamDoorClientOptions> & { readonly credits?: number[] } = {}) {
  let present: Duplex | undefined
  const client = await StreamDoorClient.open({
    connect: async () => {
      const [mine, theirs] = streamPair()
      present = theirs
      const credit = options.credits?.shift()
      serveStreamDoor(theirs, { door, ...(credit === undefined ? {} : { credit }) })
      return mine
    },
    retryMs: 1,
    ...options,
  })
  const settlements: Settlement[] = []
  return {
    client,
    door,
    settlements,
    offer: (one: IngestCommand) => client.offer(one, 'refused', (settlement) => settlements.push(settlement)),
    lose: () => present?.destroy(),
    say: (message: readonly unknown[]) => present?.write(packFrame(message)),
    write: (bytes: Buffer) => present?.write(bytes),
  }
}
