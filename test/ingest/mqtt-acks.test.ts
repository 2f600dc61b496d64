import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { AckQueue } from '#ingest/mqtt-acks.js'

/** Message ids of the PUBACKs in some bytes. */
function idsOf(bytes: Uint8Array): number[] {
  const ids: number[] = []
  for (let offset = 0; offset < bytes.length; offset += 4) {
    expect([bytes[offset], bytes[offset + 1]]).toEqual([0x40, 2])
    ids.push(((bytes[offset + 2] as number) << 8) | (bytes[offset + 3] as number))
  }
  return ids
}

class Wire {
  readonly writes: number[][] = []
  advances = 0
  readonly queue = new AckQueue(
    (bytes) => this.writes.push(idsOf(bytes)),
    () => this.advances++,
  )
}

const turn = () => new Promise<void>((resolve) => setImmediate(resolve))

describe('acknowledgements of one connection', () => {
  test('go in order of arrival, those of one turn in one write', async () => {
    const { writes, queue } = new Wire()
    const [first, second, third] = [queue.add(7, 10), queue.add(65_535, 10), queue.add(1, 10)]

    second()
    await turn()
    const before = [...writes]
    first()
    third()
    await turn()

    expect(before).toEqual([])
    expect(writes).toEqual([[7, 65_535, 1]])
    expect([queue.openCount, queue.openBytes]).toEqual([0, 0])
  })

  test('leave out messages of QoS 0, which still keep their place', async () => {
    const { writes, queue } = new Wire()
    const [first, second] = [queue.add(0, 5), queue.add(3, 5)]

    second()
    await turn()
    const before = [...writes]
    first()
    await turn()

    expect(before).toEqual([])
    expect(writes).toEqual([[3]])
  })

  test('are never sent once the connection is gone', async () => {
    const { writes, queue } = new Wire()
    const [first, second] = [queue.add(1, 1), queue.add(2, 1)]

    first()
    queue.abandon()
    second()
    await turn()

    expect(writes).toEqual([])
    expect(queue.openCount).toBe(0)
  })

  test('come out complete and in order, whatever settles when', async () => {
    await fc.assert(
      fc.asyncProperty(fc.shuffledSubarray([...Array(3000).keys()], { minLength: 3000 }), async (order) => {
        const wire = new Wire()
        const done = order.map((_, index) => wire.queue.add(index + 1, 1))

        for (const [turns, index] of order.entries()) {
          ;(done[index] as () => void)()
          if (turns % 500 === 0) await turn()
        }
        await turn()

        expect(wire.writes.flat()).toEqual(done.map((_, index) => index + 1))
        expect(wire.queue.openBytes).toBe(0)
      }),
      { numRuns: 10 },
    )
  })
})
