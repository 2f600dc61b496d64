import { describe, expect, test } from 'vitest'
import type { EntityId } from '#base/ids.js'
import { type CellSupervision, cellType, Press } from './press-cell.js'
import { PlantRig } from './plant-rig.js'
import { RigClient } from './rig-client.js'

async function open(supervise: CellSupervision = {}, workers = 1) {
  const rig = await PlantRig.open({ entities: [Press, cellType(supervise)], workers })
  await rig.until(() => rig.isIdle)
  let id = 0
  const client = new RigClient(rig, 'plc', 0, () => id++)
  const settle = () => rig.until(() => rig.isIdle && client.isSettled)
  /** What the command came to, once everything that it caused is over: its reply, or `failed` or `refused` and the code. */
  const send = async (entity: EntityId, command: string, data: Readonly<Record<string, unknown>> = {}) => {
    const { settlements } = client.send({ entity, command, data, at: undefined, answer: 'always' })
    await settle()
    const [settlement] = settlements
    if (settlement?.kind === 'done') return settlement.reply
    return settlement?.kind === 'failed' ? `failed ${settlement.message.split(':')[0]}` : `${settlement?.kind}`
  }
  const read = async <T>(entity: EntityId): Promise<T | undefined> => {
    for (let slot = 0; slot < workers; slot++) {
      const found = rig.worker(slot).read(entity, (live) => structuredClone(live.state) as T)
      if (found === undefined) continue
      let state: { readonly it: T } | undefined
      void found.then((it) => (state = { it }))
      await rig.until(() => state !== undefined)
      return state?.it
    }
    return undefined
  }
  const cell = {
    spawn: (press: string, options = {}) => send('cell/c', 'spawn', { press, options }),
    children: () => send('cell/c', 'list'),
    heard: async () => (await read<{ heard: string[] }>('cell/c'))?.heard,
  }
  const totals = (...presses: string[]) => Promise.all(presses.map(async (one) => (await read<{ total: number }>(`press/${one}`))?.total))
  return { rig, client, send, settle, cell, totals }
}

describe.each([{ workers: 1 }, { workers: 2 }])('a cell that has spawned presses, on $workers workers', ({ workers }) => {
  test('hears that they have started, and has told each what to begin with', async () => {
    const { cell, totals } = await open({}, workers)

    await cell.spawn('a')
    await cell.spawn('b')

    expect(await cell.heard()).toEqual(['press/a started', 'press/b started'])
    expect(await cell.children()).toEqual(['press/a running', 'press/b running'])
    expect(await totals('a', 'b')).toEqual([1, 1])
  })

  test('restarts one that errs, and no other: its state is that of the beginning, its history stays', async () => {
    const { rig, send, cell, totals } = await open({}, workers)
    await cell.spawn('a')
    await cell.spawn('b')
    for (const press of ['press/a', 'press/b'] as const) await send(press, 'work', { amount: 10 })

    expect(await send('press/a', 'fail', { why: 'jam' })).toBe('failed DECIDE_FAILED')

    expect(await totals('a', 'b')).toEqual([1, 11])
    expect((await cell.heard())?.slice(2)).toEqual(['press/a errored DECIDE_FAILED restart', 'press/a started'])
    expect(await send('press/a', 'work', { amount: 5 })).toBe(undefined)
    expect(await totals('a')).toEqual([6])
    const rows = (await rig.rows()).filter(({ entity }) => entity === 'press/a')
    expect(rows.filter(({ event }) => event === 'Did').map(({ data }) => data['amount'])).toEqual([1, 10, 1, 5])
    expect(rows.filter(({ event }) => event === '#lifecycle').map(({ data }) => data['what'])).toEqual(['started', 'errored', 'restarted'])
    expect(await rig.liveHash()).toBe(await rig.replayedHash())
  })

  test('restarts one whose apply throws, and leaves one that refuses alone', async () => {
    const { send, cell, totals } = await open({}, workers)
    await cell.spawn('a')
    await send('press/a', 'work', { amount: 10 })

    expect(await send('press/a', 'refuse')).toBe('refused')
    expect(await totals('a')).toEqual([11])
    expect(await send('press/a', 'break')).toBe('failed APPLY_FAILED')

    expect(await totals('a')).toEqual([1])
    expect((await cell.heard())?.slice(1)).toEqual(['press/a errored APPLY_FAILED restart', 'press/a started'])
  })

  test('has them stop with it, and begin anew when they are spawned again', async () => {
    const { send, cell, totals } = await open({}, workers)
    await cell.spawn('a')
    await cell.spawn('b', { outlives: true })

    await send('cell/c', 'leave')

    expect(await send('cell/c', 'list')).toBe('failed STOPPED')
    expect(await send('press/a', 'work', { amount: 5 })).toBe('failed STOPPED')
    expect(await send('press/b', 'work', { amount: 5 })).toBe(undefined)
    expect(await send('cell/d', 'spawn', { press: 'a' })).toBe(undefined)
    expect(await send('press/a', 'work', { amount: 7 })).toBe(undefined)
    expect(await totals('a', 'b')).toEqual([8, 6])
  })
})
