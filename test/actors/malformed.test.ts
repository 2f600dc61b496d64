import { describe, expect, test } from 'vitest'
import { FRAME_HEADER_BYTES } from '#bus/frame.js'
import { channelStat, damageTo } from '#bus/index.js'
import { HEADER_BYTES } from '#bus/layout.js'
import { answerOf, TallyRig } from './tally-rig.js'

const COMMANDS = 'commands-g0-w0'
const APPENDS = 'appends-w0'

/** Overwrites a byte of the payload of the first frame that is not released, as a stray write before its commit would. */
function scribble(plant: TallyRig, channel: string, byte: number, value: number): void {
  const memory = plant.rig.memory(channel)
  const { releasedPosition, capacityBytes } = channelStat(memory)
  new Uint8Array(memory)[HEADER_BYTES + (releasedPosition & (capacityBytes - 1)) + FRAME_HEADER_BYTES + byte] = value
}

const PARTS = [
  { what: 'of another entity than its hash says', byte: 8, value: 0xaa },
  { what: 'of no command', byte: 12, value: 0xff },
  { what: 'with an id that goes on behind its end', byte: 41, value: 0x70 },
  { what: 'with a source that goes on behind its end', byte: 43, value: 0x70 },
  { what: 'with a payload that goes on behind its end', byte: 50, value: 0x01 },
]

describe('a command frame that no door can have written', () => {
  test.each(PARTS)('$what costs its channel, and is not executed', async ({ byte, value }) => {
    const plant = await TallyRig.open()
    plant.rig.killWorker()
    plant.add('tally/a', 1)
    plant.rig.stepDoor()
    scribble(plant, COMMANDS, byte, value)
    plant.rig.startWorker()

    await expect(plant.settle()).rejects.toMatchObject({ code: 'ERR_CHANNEL_CORRUPT' })
    expect(damageTo(plant.rig.memory(COMMANDS))).toBeDefined()
    expect(plant.rig.journal.endPosition).toBe(0)
  })
})

describe('an append frame that no worker can have written', () => {
  test.each([
    { what: 'of no term', byte: 4, value: 0 },
    { what: 'of another shard than its entity', byte: 20, value: 0x3f },
    { what: 'with more rows than it has', byte: 22, value: 9 },
    { what: 'with an outcome that goes on behind its end', byte: 58, value: 0x70 },
  ])('$what costs its channel, and nothing of it is stored', async ({ byte, value }) => {
    const plant = await TallyRig.open()
    const sent = plant.add('tally/a', 1)
    plant.execute()
    plant.rig.killWorker()
    scribble(plant, APPENDS, byte, value)

    plant.rig.killJournal()
    plant.rig.startJournal()
    await plant.store()

    expect(plant.rig.failures).toMatchObject([{ code: 'ERR_CHANNEL_CORRUPT' }])
    expect(damageTo(plant.rig.memory(APPENDS))).toBeDefined()
    expect(plant.rig.journal.endPosition).toBe(0)
    expect(answerOf(sent)).toBeUndefined()
  })
})
