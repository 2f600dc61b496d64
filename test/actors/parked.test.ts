import { describe, expect, test } from 'vitest'
import { channelStat } from '#bus/index.js'
import type { SentCommand } from './rig-client.js'
import { answerOf, TallyRig } from './tally-rig.js'

/** Where commands are told to be at hand, in order; undefined: none is. */
function watched() {
  const told: (readonly [link: number, position: number] | undefined)[] = []
  return {
    told,
    atHand: { set: (link: number, position: number) => void told.push([link, position]), clear: () => void told.push(undefined) },
  }
}

/** Three commands of which the worker has executed none. */
async function threeSent() {
  const plant = await TallyRig.open()
  plant.rig.killWorker()
  const sent = [1, 2, 3].map((id) => plant.add('tally/a', id))
  plant.rig.stepDoor()
  return { plant, sent, first: channelStat(plant.rig.memory('commands-g0-w0')).releasedPosition }
}

describe('the command at hand', () => {
  test('is told before each, by where its frame lies, and that there is none behind it', async () => {
    const { plant, first } = await threeSent()
    const { told, atHand } = watched()
    plant.rig.startWorker(0, { atHand })

    await plant.settle()

    expect(told).toHaveLength(6)
    expect(told[0]).toEqual([0, first])
    expect(told.filter((_, index) => index % 2 === 1)).toEqual([undefined, undefined, undefined])
  })
})

describe('a parked command', () => {
  test('is refused with the reason and never executed, and the others of its entity go on', async () => {
    const { plant, sent, first } = await threeSent()
    plant.rig.startWorker(0, { parked: [{ link: 0, position: first, reason: 'it ended 3 workers' }] })

    await plant.settle()

    expect(sent.map((one) => answerOf(one))).toMatchObject([
      { kind: 'failed', message: 'PARKED: it ended 3 workers' },
      { kind: 'done' },
      { kind: 'done' },
    ])
    expect(await plant.ids('tally/a')).toEqual([2, 3])
  })

  test('gives the same answer when it comes again, to a worker that knows nothing of it', async () => {
    const { plant, sent, first } = await threeSent()
    plant.rig.startWorker(0, { parked: [{ link: 0, position: first, reason: 'it ended 3 workers' }] })
    await plant.settle()
    plant.rig.killWorker()
    plant.rig.startWorker()

    plant.client.sendAgain(sent[0] as SentCommand)
    await plant.settle()

    expect(sent[0]?.settlements).toMatchObject([{ kind: 'failed' }, { kind: 'failed', message: 'PARKED: it ended 3 workers' }])
  })

  test('is not looked for once it is answered, since another lies there some day', async () => {
    const { plant, first } = await threeSent()
    plant.rig.startWorker(0, { parked: [{ link: 0, position: first - 64, reason: 'long gone' }] })

    await plant.settle()

    expect(await plant.ids('tally/a')).toEqual([1, 2, 3])
  })
})
