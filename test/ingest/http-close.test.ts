import { describe, expect, test } from 'vitest'
import { SOON } from './data.js'
import { FakeDoor } from './fake-door.js'
import { command, linesOf, openDoor, RawConnection, rawPost } from './http-client.js'

const one = (t: number) => rawPost(linesOf(command(t)))

describe('a door that closes', () => {
  test('answers the requests under way, then ends their connections and is closed', async () => {
    const door = new FakeDoor({ isManual: true })
    const http = await openDoor(door)
    const first = new RawConnection(http).write(one(1))
    const second = new RawConnection(http).write(one(2) + one(3))
    await expect.poll(() => door.inFlightCount, SOON).toBe(3)
    let isClosed = false
    const closing = http.close(10_000).then(() => (isClosed = true))

    door.settle(2)
    await expect.poll(() => [first.statuses, second.statuses], SOON).toEqual([[200], [200]])
    expect(isClosed).toBe(false)
    door.settle()
    await closing

    await expect.poll(() => [first.isClosed, second.isClosed], SOON).toEqual([true, true])
    expect(second.statuses).toEqual([200, 200])
    expect(second.answers[1]?.head.toLowerCase()).toContain('connection: close')
  })

  test('waits neither for idle connections, nor for those that have not asked yet', async () => {
    const http = await openDoor(new FakeDoor())
    const idle = new RawConnection(http).write(one(1))
    const silent = new RawConnection(http)
    const slow = new RawConnection(http).write('POST /v1/commands HTTP/1.1\r\nhost:')
    await expect.poll(() => idle.statuses, SOON).toEqual([200])
    await expect.poll(() => http.stats.connections, SOON).toBe(3)
    const started = performance.now()

    await http.close(10_000)

    expect(performance.now() - started).toBeLessThan(5_000)
    await expect.poll(() => [idle.isClosed, silent.isClosed, slow.isClosed], SOON).toEqual([true, true, true])
  })

  test('cuts what is not answered in time', async () => {
    const door = new FakeDoor({ isManual: true })
    const http = await openDoor(door)
    const stuck = new RawConnection(http).write(one(1))
    const slow = new RawConnection(http).write(one(2).slice(0, -1))
    await expect.poll(() => http.held.turns + door.inFlightCount, SOON).toBe(2)

    await http.close(50)

    await expect.poll(() => [stuck.isClosed, slow.isClosed], SOON).toEqual([true, true])
    expect(stuck.statuses).toEqual([])
  })

  test('takes no request that comes behind one under way', async () => {
    const door = new FakeDoor({ isManual: true })
    const http = await openDoor(door)
    const connection = new RawConnection(http).write(one(1))
    await expect.poll(() => door.inFlightCount, SOON).toBe(1)
    const closing = http.close(10_000)

    connection.write(one(2))
    await expect.poll(() => http.stats.requests.get(503), SOON).toBe(1)
    door.settle()
    await closing

    await expect.poll(() => connection.isClosed, SOON).toBe(true)
    expect(connection.statuses).toEqual([200])
    expect(door.stored.map(({ data }) => data.t)).toEqual([1])
  })

  test('refuses new connections, and closes once', async () => {
    const http = await openDoor(new FakeDoor())

    await Promise.all([http.close(1000), http.close(1000)])
    await http.close(1000)

    await expect(fetch(`${http.url}/healthz`)).rejects.toThrow('fetch failed')
  })
})
