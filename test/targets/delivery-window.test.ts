import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { Row } from '#journal/index.js'
import { type Delivery, DeliveryWindow } from '#targets/delivery-window.js'

/** All that a window looks at of a row. */
function rowOf(position: number, entity: number): Row {
  return { position, entity: `press/${entity}` } as unknown as Row
}

function windowOf(options: { readonly rowsMax?: number; readonly perEntityMax?: number } = {}) {
  const sent: Delivery<number>[] = []
  const settled: number[] = []
  const window = new DeliveryWindow<number>(0, {
    rowsMax: options.rowsMax ?? 10,
    perEntityMax: options.perEntityMax ?? 1,
    send: (delivery) => sent.push(delivery),
    onSettled: (position) => settled.push(position),
  })
  return { window, sent, settled, positions: () => sent.map(({ row }) => row.position) }
}

describe('a window over rows on their way', () => {
  test('sends one row of an entity at a time, and the others beside it', () => {
    const { window, sent, positions } = windowOf()
    for (const [position, entity] of [1, 1, 2, 1].entries()) window.add(rowOf(position, entity), position)

    window.pump()
    expect(positions()).toEqual([0, 2])
    window.done(sent[0] as Delivery<number>)

    expect(positions()).toEqual([0, 2, 1])
  })

  test('has settled what lies before the oldest row without an answer, and where the log was looked at', () => {
    const { window, sent, settled } = windowOf()
    for (const position of [3, 5, 8]) window.add(rowOf(position, position), position)
    window.pump()

    window.done(sent[1] as Delivery<number>)
    window.done(sent[0] as Delivery<number>)
    window.looked(20)
    window.done(sent[2] as Delivery<number>)

    expect(settled).toEqual([3, 8, 20])
  })

  test('sends what was lost with its connection again, from the oldest on', () => {
    const { window, sent, positions } = windowOf({ perEntityMax: 2 })
    for (const position of [0, 1, 2, 3]) window.add(rowOf(position, 1), position)
    window.pump()
    window.done(sent[1] as Delivery<number>)

    window.lost()
    window.pump()

    expect(positions()).toEqual([0, 1, 2, 0, 2])
    expect(sent[0]?.attempts).toBe(2)
  })

  test('keeps what comes behind a refused row of its entity until that is sent again', () => {
    const { window, sent, positions } = windowOf()
    for (const [position, entity] of [1, 1, 2].entries()) window.add(rowOf(position, entity), position)
    window.pump()

    window.hold(sent[0] as Delivery<number>)
    window.done(sent[1] as Delivery<number>)
    window.pump()
    expect(positions()).toEqual([0, 2])
    window.release()
    window.pump()
    window.done(sent[2] as Delivery<number>)

    expect(positions()).toEqual([0, 2, 0, 1])
  })

  test('has no room when so many rows are open, and lets who waits go at its end', async () => {
    const { window, sent } = windowOf({ rowsMax: 2 })
    window.add(rowOf(0, 1), 0)
    window.add(rowOf(1, 2), 1)
    window.pump()
    let isThere = false
    const room = window.room().then(() => (isThere = true))

    await Promise.resolve()
    expect(isThere).toBe(false)
    window.done(sent[1] as Delivery<number>)
    await Promise.resolve()
    // The oldest row holds the place of all behind it.
    expect(isThere).toBe(false)
    window.end()
    await room

    expect(isThere).toBe(true)
  })

  test('keeps its promises whatever is answered, refused and lost', () => {
    const step = fc.oneof(
      { weight: 4, arbitrary: fc.record({ kind: fc.constant('add' as const), entity: fc.nat(3) }) },
      { weight: 4, arbitrary: fc.record({ kind: fc.constantFrom('done' as const, 'hold' as const), index: fc.nat(20) }) },
      { weight: 1, arbitrary: fc.record({ kind: fc.constantFrom('lost' as const, 'release' as const, 'pump' as const) }) },
      { weight: 1, arbitrary: fc.record({ kind: fc.constant('limit' as const), sentMax: fc.nat(6) }) },
    )
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), fc.integer({ min: 1, max: 3 }), (steps, perEntityMax) => {
        const { window, sent, settled } = windowOf({ rowsMax: 100, perEntityMax })
        const all: number[] = []
        const done = new Set<number>()
        const open = () => [...new Set(sent)].filter(({ state }) => state === 'sent')
        const check = () => {
          const unanswered = new Map<string, number>()
          for (const { row } of open()) unanswered.set(row.entity, (unanswered.get(row.entity) ?? 0) + 1)
          expect(Math.max(0, ...unanswered.values())).toBeLessThanOrEqual(perEntityMax)
          const oldest = all.find((position) => !done.has(position)) ?? all.length
          expect(settled.at(-1) ?? 0).toBe(oldest)
          expect(settled).toEqual(settled.toSorted((a, b) => a - b))
        }
        for (const one of steps) {
          const seenBefore = sent.length
          if (one.kind === 'add') {
            window.add(rowOf(all.length, one.entity), 0)
            all.push(all.length)
          } else if (one.kind === 'done' || one.kind === 'hold') {
            const delivery = open()[one.index]
            if (delivery === undefined) continue
            if (one.kind === 'done') done.add(delivery.row.position)
            window[one.kind](delivery)
          } else if (one.kind === 'limit') window.sentMax = one.sentMax
          else window[one.kind]()
          // A row goes only when all of its entity before it are answered or on their way.
          for (const { row } of sent.slice(seenBefore)) {
            const earlier = sent.filter((other) => other.row.entity === row.entity && other.row.position < row.position)
            for (const other of earlier) expect(['sent', 'done']).toContain(other.state)
          }
          check()
        }
        // In the end all of it arrives.
        window.sentMax = 100
        window.lost()
        window.release()
        window.pump()
        for (let delivery = open()[0]; delivery !== undefined; delivery = open()[0]) {
          done.add(delivery.row.position)
          window.done(delivery)
        }
        expect(done.size).toBe(all.length)
        check()
      }),
      { numRuns: 200 },
    )
  })
})
