import { describe, expect, test } from 'vitest'
import { KinTree } from '#reading/kin-tree.js'
import { CellRig } from '../actors/cell-rig.js'

describe('a tree read from the log of cells and presses', () => {
  test('shows who has spawned whom, how they are, and what went wrong with them', async () => {
    const cell = await CellRig.open({ restarts: 1, withinMs: 1e9, backOff: { minMs: 1e6 } })
    await cell.spawn('a')
    await cell.spawn('b', { onError: 'resume' })
    await cell.spawn('c')
    await cell.send('cell/d', 'watch', { press: 'a' })
    await cell.send('press/a', 'fail', { why: 'jam' })
    await cell.send('press/b', 'fail', { why: 'dust' })
    await cell.send('press/c', 'leave')

    const tree = new KinTree()
    for (const row of await cell.rig.rows()) tree.take(row)

    expect(tree.roots()).toMatchObject([
      {
        entity: 'cell/c',
        phase: 'running',
        error: null,
        watches: [],
        children: [
          { entity: 'press/a', phase: 'waiting', incarnation: 1, restarts: 0, error: { code: 'DECIDE_FAILED', message: 'jam' } },
          { entity: 'press/b', phase: 'running', incarnation: 2, restarts: 0, error: { code: 'DECIDE_FAILED', message: 'dust' } },
        ],
      },
      { entity: 'cell/d', watches: ['press/a'], children: [] },
      { entity: 'press/c', phase: 'stopped' },
    ])
  })
})
