import { describe, expect, test } from 'vitest'
import { type EntityId, shardOfId } from '#base/ids.js'
import { CellRig } from './cell-rig.js'
import { PlantRig } from './plant-rig.js'
import { cellType, Press } from './press-cell.js'

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

describe('what is done about an error', () => {
  test('is to go on with the state before it, where that is so said: commands are taken on meanwhile', async () => {
    const cell = await CellRig.open({ onError: 'resume' })
    await cell.spawn('a')
    await cell.send('press/a', 'work', { amount: 10 })

    for (let time = 0; time < 5; time++) await cell.send('press/a', 'fail', { why: 'jam' })

    expect(await cell.totals('a')).toEqual([11])
    expect((await cell.heard())?.slice(1)).toEqual(new Array(5).fill('press/a errored DECIDE_FAILED resume'))
  })

  test('is what a function of state and error says, and to escalate where that throws', async () => {
    const cell = await CellRig.open({
      onError: (state, { message, restarts }) => {
        if (message === 'twice') throw new Error('no idea')
        return state.heard.length < 3 && restarts === 0 ? 'resume' : 'stop'
      },
    })
    await cell.spawn('a')
    await cell.spawn('b')
    await cell.send('press/b', 'work', { amount: 10 })

    await cell.send('press/b', 'fail', { why: 'once' })
    expect(await cell.totals('b')).toEqual([11])
    expect(await cell.children()).toEqual(['press/a running', 'press/b running'])
    await cell.send('press/b', 'fail', { why: 'again' })
    expect(await cell.children()).toEqual(['press/a running'])
    await cell.send('press/a', 'fail', { why: 'twice' })

    expect(await cell.children()).toEqual([])
    expect((await cell.heard())?.slice(2)).toEqual([
      'press/b errored DECIDE_FAILED resume',
      'press/b errored DECIDE_FAILED stop',
      'press/b exited DECIDE_FAILED',
      'press/a escalated ESCALATED',
      'press/a errored DECIDE_FAILED escalate',
      'press/a exited ESCALATED',
    ])
  })

  test('is to restart it so often within a window, and then to escalate', async () => {
    const cell = await CellRig.open({ restarts: 2, withinMs: 100_000 })
    await cell.spawn('a')
    const fail = () => cell.send('press/a', 'fail', { why: 'jam' })

    await fail()
    await fail()
    cell.rig.clock.advance(200_000)
    await fail()
    await fail()
    expect(await cell.children()).toEqual(['press/a running'])
    await fail()

    expect(await cell.children()).toEqual([])
    expect((await cell.heard())?.at(-1)).toBe('press/a exited RESTARTS_EXHAUSTED')
  })

  test('waits longer each time, and not for all the same time; what is sent meanwhile fails', async () => {
    const cell = await CellRig.open({ restarts: 5, withinMs: 1e9, backOff: { minMs: 1000, maxMs: 3000, jitter: 0.5 } })
    for (const press of ['a', 'b', 'c']) await cell.spawn(press)
    const waits: number[][] = []
    for (let time = 0; time < 4; time++) {
      for (const press of ['a', 'b', 'c'] as const) await cell.send(`press/${press}`, 'fail', { why: 'jam' })
      expect(await cell.send('press/a', 'work', { amount: 10 })).toBe('SUSPENDED')
      const told = (await cell.rig.rows()).filter(({ event, data }) => event === '#message' && data['command'] === '#due')
      waits.push(told.slice(-3).map(({ data, accepted }) => ((data['due'] as number) - accepted) / 1000))
      cell.rig.clock.advance(10_000)
      await cell.settle()
      expect(await cell.totals('a', 'b', 'c')).toEqual([1, 1, 1])
    }

    for (const [time, whole] of [1000, 2000, 4000, 8000].entries()) {
      for (const ms of waits[time] ?? []) {
        expect(ms).toBeGreaterThanOrEqual(Math.min(3000, whole) * 0.5)
        expect(ms).toBeLessThanOrEqual(Math.min(3000, whole * 1.5))
      }
    }
    expect(new Set(waits[0]).size).toBe(3)
  })

  test('is decided above where the supervisor cannot mend it, whose children begin anew with it', async () => {
    const cell = await CellRig.open({ restarts: 0 })
    await cell.send('cell/top', 'raise', { cell: 'c', press: 'a' })
    await cell.spawn('b')
    expect(await cell.children()).toEqual(['press/a running', 'press/b running'])

    await cell.send('press/a', 'fail', { why: 'jam' })

    // Above, too, nothing may be restarted: it has nobody to ask, and stops what it has.
    expect(await cell.heard('top')).toEqual([
      'cell/c started',
      'cell/c escalated RESTARTS_EXHAUSTED',
      'cell/c errored RESTARTS_EXHAUSTED escalate',
      'cell/c exited RESTARTS_EXHAUSTED',
    ])
    expect(await cell.send('cell/c', 'list')).toBe('STOPPED')
    expect(await cell.send('press/b', 'work', { amount: 1 })).toBe('STOPPED')
  })

  test('is taken over from above: with a supervisor that is restarted, its first children are', async () => {
    const cell = await CellRig.open({ restarts: 1 })
    await cell.send('cell/top', 'raise', { cell: 'c', press: 'a' })
    await cell.spawn('b')
    await cell.send('press/a', 'work', { amount: 10 })
    await cell.send('press/a', 'fail', { why: 'jam' })
    await cell.send('press/a', 'work', { amount: 100 })

    await cell.send('press/a', 'fail', { why: 'jam' })

    expect((await cell.heard('top'))?.slice(1)).toEqual(['cell/c errored RESTARTS_EXHAUSTED restart', 'cell/c started'])
    expect(await cell.children()).toEqual(['press/a running'])
    expect(await cell.totals('a')).toEqual([1])
    expect(await cell.send('press/b', 'work', { amount: 1 })).toBe('STOPPED')
    expect(await cell.heard()).toEqual(['press/a started'])
  })

  test('is to go on, above: then the child whose error it was goes on, too', async () => {
    const cell = await CellRig.open({ onError: 'escalate' })
    await cell.send('cell/top', 'raise', { cell: 'c', press: 'a', options: { onError: 'resume' } })
    await cell.spawn('b')
    await cell.send('press/b', 'work', { amount: 10 })

    await cell.send('press/b', 'fail', { why: 'jam' })

    expect(await cell.children()).toEqual(['press/a running', 'press/b running'])
    expect(await cell.totals('b')).toEqual([11])
    expect(await cell.send('press/b', 'work', { amount: 10 })).toBe('done')
  })
})

describe('an entity that watches another', () => {
  test.each([{ workers: 1 }, { workers: 3 }])(
    'hears what becomes of it, as long as it watches, on $workers workers',
    async ({ workers }) => {
      const cell = await CellRig.open({}, { workers })
      await cell.send('cell/w', 'watch', { press: 'a' })
      await cell.send('press/a', 'fail', { why: 'nobody restarts it' })
      await cell.spawn('a')
      await cell.send('press/a', 'fail', { why: 'jam' })
      await cell.send('cell/c', 'stop', { press: 'a' })
      await cell.send('cell/v', 'watch', { press: 'a' })
      await cell.send('cell/w', 'unwatch', { press: 'a' })
      await cell.spawn('a')

      expect(await cell.heard('w')).toEqual([
        'press/a errored DECIDE_FAILED',
        'press/a started',
        'press/a errored DECIDE_FAILED',
        'press/a started',
        'press/a exited STOPPED',
      ])
      expect(await cell.heard('v')).toEqual(['press/a exited STOPPED', 'press/a started'])
    },
  )

  test('hears once of each death of the process that it lives in, of those that are watched alone', async () => {
    const cell = await CellRig.open({}, { workers: 3 })
    const { rig } = cell
    await cell.send('cell/w', 'watch', { press: 'a' })
    for (const press of ['a', 'b', 'c', 'd']) await cell.spawn(press)
    const killAll = async (cause: string) => {
      for (let slot = 0; slot < 3; slot++) rig.killWorker(slot)
      for (let slot = 0; slot < 3; slot++) rig.startWorker(slot, { predecessor: cause })
      await cell.settle()
    }

    await killAll('SIGKILL')
    await killAll('exit code 1')

    expect(await cell.heard('w')).toEqual(['press/a started', 'press/a lost SIGKILL', 'press/a lost exit code 1'])
    expect(await cell.heard()).toHaveLength(4)
  })
})

describe('an entity that has a parent', () => {
  test('has no other one until it is stopped', async () => {
    const cell = await CellRig.open()
    await cell.spawn('a', {})
    await cell.send('cell/d', 'spawn', { press: 'a', options: { begin: undefined } })

    expect(await cell.heard('d')).toEqual(['press/a exited HAS_PARENT'])
    expect(await cell.send('cell/d', 'list')).toEqual([])
    expect(await cell.children()).toEqual(['press/a running'])
    await cell.send('press/a', 'fail', { why: 'jam' })
    expect(await cell.heard('d')).toHaveLength(1)
  })

  test('tells it that it lives where that is asked for, until it stops', async () => {
    const cell = await CellRig.open()
    await cell.spawn('a', { pulseMs: 1000 })
    for (let second = 0; second < 3; second++) {
      cell.rig.clock.advance(1000)
      await cell.settle()
    }
    await cell.send('press/a', 'leave')
    cell.rig.clock.advance(10_000)
    await cell.settle()

    expect(await cell.heard()).toEqual(['press/a started', ...new Array(3).fill('press/a pulsed'), 'press/a exited DONE'])
  })

  test('loses its timers with its state', async () => {
    const cell = await CellRig.open()
    await cell.spawn('a')
    await cell.send('press/a', 'later', { ms: 50_000 })
    await cell.send('press/a', 'fail', { why: 'jam' })
    await cell.send('press/a', 'later', { ms: 60_000 })
    cell.rig.clock.advance(100_000)
    await cell.settle()

    expect(await cell.totals('a')).toEqual([1001])
    expect(await cell.rig.liveHash()).toBe(await cell.rig.replayedHash())
  })
})

describe('a child whose supervisor cannot decide, since its process is gone', () => {
  test('takes no commands until then, and loses no timer when it goes on', async () => {
    const cell = await CellRig.open({ onError: () => 'resume' }, { workers: 2 })
    const { rig, client } = cell
    const workerOf = (entity: string) => shardOfId(entity, rig.journal.shardCount) % 2
    const press = Array.from({ length: 16 }, (_, index) => String(index)).find(
      (name) => workerOf(`press/${name}`) !== workerOf('cell/c'),
    ) as string
    const id: EntityId = `press/${press}`
    await cell.spawn(press)
    await cell.send(id, 'later', { ms: 20_000 })
    rig.killWorker(workerOf('cell/c'))
    const send = async (command: string, data: Readonly<Record<string, unknown>>) => {
      const { settlements } = client.send({ entity: id, command, data, at: undefined, answer: 'always' })
      await rig.until(() => settlements.length > 0)
      return settlements[0]
    }

    expect(await send('fail', { why: 'jam' })).toMatchObject({ message: 'DECIDE_FAILED: jam' })
    rig.clock.advance(30_000)
    expect(await send('work', { amount: 10 })).toMatchObject({ kind: 'failed', message: expect.stringMatching(/^SUSPENDED: /) })
    for (let second = 0; second < 3; second++) {
      rig.clock.advance(1000)
      await send('work', { amount: 10 })
    }
    rig.startWorker(workerOf('cell/c'))
    await cell.settle()
    expect(await cell.totals(press)).toEqual([1])
    rig.clock.advance(2000)
    await cell.settle()

    expect(await cell.totals(press)).toEqual([1001])
    expect(await rig.liveHash()).toBe(await rig.replayedHash())
  })
})

describe('a child that errs while processes die at any step', () => {
  test('is restarted once', async () => {
    for (let kill = 1; kill < 40; kill += 2) {
      const workers = 1 + (kill % 2)
      const cell = await CellRig.open({}, { workers })
      const { rig, client } = cell
      await cell.spawn('a')
      await cell.send('press/a', 'work', { amount: 10 })
      client.send({ entity: 'press/a', command: 'fail', data: { why: 'jam' }, at: undefined, answer: 'always' })
      let step = 0
      await rig.until(() => {
        step++
        for (const slot of step === kill ? [kill % workers] : step === kill + 5 ? [(kill + 1) % workers] : []) {
          rig.killWorker(slot)
          rig.startWorker(slot, { predecessor: 'SIGKILL' })
        }
        if (step === kill + (kill % 3)) {
          rig.killJournal()
          rig.startJournal()
        }
        return step > kill + 8 && rig.isIdle && client.isSettled
      })

      expect(await cell.heard(), `killed at ${kill}`).toEqual([
        'press/a started',
        'press/a errored DECIDE_FAILED restart',
        'press/a started',
      ])
      expect(await cell.totals('a')).toEqual([1])
      expect(await rig.liveHash()).toBe(await rig.replayedHash())
    }
  })
})

describe('a child that cannot be rebuilt', () => {
  test('has exited for its parent and for whoever watches it, once', async () => {
    const before = await CellRig.open({}, { workers: 2 })
    await before.spawn('a')
    await before.spawn('b')
    await before.send('cell/w', 'watch', { press: 'a' })
    await before.send('press/a', 'work', { amount: 13 })
    const { stored } = before.rig.journal
    const Unlucky = {
      ...Press,
      apply: {
        ...Press.apply,
        Did(state: { total: number }, { amount }: { readonly amount: number }) {
          if (amount === 13) throw new Error('unlucky')
          state.total += amount
        },
      },
    }
    const cell = new CellRig(await PlantRig.open({ entities: [Unlucky, cellType()], workers: 2, stored }), 'the next one')
    await cell.settle()
    for (const slot of [0, 1]) {
      cell.rig.killWorker(slot)
      cell.rig.startWorker(slot)
      await cell.settle()
    }

    expect((await cell.heard())?.slice(2)).toEqual(['press/a exited FENCED'])
    expect(await cell.heard('w')).toEqual(['press/a exited FENCED'])
    expect(await cell.children()).toEqual(['press/b running'])
    expect(await cell.send('press/a', 'work', { amount: 1 })).toBe('APPLY_FAILED')
  })
})
