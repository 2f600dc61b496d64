import { describe, expect, test } from 'vitest'
import { compileEntity, encodeSnapshot, Outbox, outboxRowOf } from '#entity/index.js'
import { KinTree } from '#reading/kin-tree.js'
import { CellRig } from '../actors/cell-rig.js'
import { cellType } from '../actors/press-cell.js'

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

describe('a tree read from a log whose beginning retention has dropped', () => {
  test('goes on where the base snapshots end', async () => {
    const cell = await CellRig.open()
    for (const press of ['a', 'b', 'c']) await cell.spawn(press)
    const base = { version: 0, outbox: new Outbox() }
    for (const { entity, version, event, data, at } of await cell.rig.rows()) {
      const row = entity === 'cell/c' ? outboxRowOf({ event, data }) : undefined
      if (row !== undefined) base.outbox.take(row, at, '')
      if (entity === 'cell/c') base.version = version
    }
    const model = compileEntity(cellType())
    const bytes = encodeSnapshot(model, { state: model.initial(), outcomes: undefined, outbox: base.outbox, latestAt: 0 })
    await cell.send('cell/c', 'stop', { press: 'b' })
    await cell.spawn('d')
    const rows = await cell.rig.rows()

    const tree = new KinTree()
    tree.takeBase('cell/c', base.version, bytes)
    for (const row of rows) if (row.entity !== 'cell/c' || row.version > base.version - 2) tree.take(row)

    const [root] = tree.roots()
    expect(root?.children.map(({ entity, phase }) => `${entity} ${phase}`)).toEqual([
      'press/a running',
      'press/c running',
      'press/d running',
    ])
  })
})
