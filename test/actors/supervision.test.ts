import { describe, expect, test } from 'vitest'
import { CellRig } from './cell-rig.js'

describe.each([{ workers: 1 }, { workers: 2 }])('a cell that has spawned presses, on $workers workers', ({ workers }) => {
  test('hears that they have started, and has told each what to begin with', async () => {
    const cell = await CellRig.open({}, { workers })

    await cell.spawn('a')
    await cell.spawn('b')

    expect(await cell.heard()).toEqual(['press/a started', 'press/b started'])
    expect(await cell.children()).toEqual(['press/a running', 'press/b running'])
    expect(await cell.totals('a', 'b')).toEqual([1, 1])
  })

  test('restarts one that errs, and no other: its state is that of the beginning, its history stays', async () => {
    const cell = await CellRig.open({}, { workers })
    await cell.spawn('a')
    await cell.spawn('b')
    for (const press of ['press/a', 'press/b'] as const) await cell.send(press, 'work', { amount: 10 })

    expect(await cell.send('press/a', 'fail', { why: 'jam' })).toBe('DECIDE_FAILED')

    expect(await cell.totals('a', 'b')).toEqual([1, 11])
    expect((await cell.heard())?.slice(2)).toEqual(['press/a errored DECIDE_FAILED restart', 'press/a started'])
    expect(await cell.send('press/a', 'work', { amount: 5 })).toBe('done')
    expect(await cell.totals('a')).toEqual([6])
    const rows = (await cell.rig.rows()).filter(({ entity }) => entity === 'press/a')
    expect(rows.filter(({ event }) => event === 'Did').map(({ data }) => data['amount'])).toEqual([1, 10, 1, 5])
    expect(rows.filter(({ event }) => event === '#lifecycle').map(({ data }) => data['what'])).toEqual(['started', 'errored', 'restarted'])
    expect(await cell.rig.liveHash()).toBe(await cell.rig.replayedHash())
  })

  test('restarts one whose apply throws, and leaves one that refuses alone', async () => {
    const cell = await CellRig.open({}, { workers })
    await cell.spawn('a')
    await cell.send('press/a', 'work', { amount: 10 })

    expect(await cell.send('press/a', 'refuse')).toBe('refused')
    expect(await cell.totals('a')).toEqual([11])
    expect(await cell.send('press/a', 'break')).toBe('APPLY_FAILED')

    expect(await cell.totals('a')).toEqual([1])
    expect((await cell.heard())?.slice(1)).toEqual(['press/a errored APPLY_FAILED restart', 'press/a started'])
  })

  test('has them stop with it, and begin anew when they are spawned again', async () => {
    const cell = await CellRig.open({}, { workers })
    await cell.spawn('a')
    await cell.spawn('b', { outlives: true })

    await cell.send('cell/c', 'leave')

    expect(await cell.send('cell/c', 'list')).toBe('STOPPED')
    expect(await cell.send('press/a', 'work', { amount: 5 })).toBe('STOPPED')
    expect(await cell.send('press/b', 'work', { amount: 5 })).toBe('done')
    expect(await cell.send('cell/d', 'spawn', { press: 'a' })).toBe('done')
    expect(await cell.send('press/a', 'work', { amount: 7 })).toBe('done')
    expect(await cell.totals('a', 'b')).toEqual([8, 6])
  })
})
