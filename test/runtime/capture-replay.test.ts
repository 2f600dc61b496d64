import { existsSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { hash32 } from '#base/hash.js'
import { capture, NO_FRAME, openChannel, openedChannel, type ProducerChannel } from '#bus/index.js'
import { ANSWER_ALWAYS, COMMAND_FRAME, type CommandHeader, commandFrameBytes, writeCommandHeader } from '#entity/command-frame.js'
import { defineEntity, PlantModel } from '#entity/index.js'
import { replayCaptures } from '#runtime/capture-replay.js'
import { openPlant } from '#runtime/open-plant.js'
import { definePlant } from '#runtime/plant-definition.js'
import { f64 } from '#schema/index.js'

const Press = defineEntity({
  name: 'press',
  events: { Sampled: { temperature: f64() } },
  commands: { sample: { temperature: f64() } },
  initial: () => ({ count: 0, sum: 0 }),
  decide: {
    sample(_state, command, { emit, refuse }) {
      if (command.temperature > 1000) return refuse('MELTED', {})
      emit.Sampled(command)
      return undefined
    },
  },
  apply: {
    Sampled(state, event) {
      state.count++
      state.sum += event.temperature
    },
  },
})
const definition = definePlant({ entities: [Press] })
const model = new PlantModel([Press])
const utf8 = new TextEncoder()

interface Sent {
  readonly entity: string
  readonly sequence: number
  readonly temperature: number
}

let directory: string
let open: ProducerChannel[]

beforeEach(() => {
  directory = mkdtempSync(join(existsSync('/dev/shm') ? '/dev/shm' : tmpdir(), 'millrace-test-'))
  open = []
})

afterEach(() => {
  for (const channel of open) channel.close()
  rmSync(directory, { recursive: true, force: true })
})

/** Writes what a gateway would write, and captures it; the file. */
async function captured(name: string, commands: readonly Sent[], schemaHash = model.schemaHash): Promise<string> {
  const channel = openChannel({ directory, name, role: 'producer', schemaHash })
  open.push(channel)
  for (const command of commands) sendCommand(channel, command)
  const path = join(directory, `${name}.cap`)
  const paths = openedChannel(directory, name)
  await capture({ ...paths, path, leaseMs: 1000, signal: AbortSignal.abort() })
  return path
}

function sendCommand({ producer }: ProducerChannel, { entity, sequence, temperature }: Sent): void {
  const codec = model.models[0]?.commandCodec(0)
  if (codec === undefined) throw new Error('the plant has a command')
  const data = { temperature }
  const header: CommandHeader = {
    request: sequence,
    doorTerm: 1,
    entityHash: hash32(utf8.encode(entity)),
    commandNumber: 0,
    answer: ANSWER_ALWAYS,
    at: Number.NaN,
    accepted: 1_700_000_000_000_000 + sequence,
    sequence,
    entity: utf8.encode(entity),
    source: utf8.encode('device'),
    correlation: new Uint8Array(0),
    causation: new Uint8Array(0),
    payloadBytes: codec.encodedBytes(data),
  }
  const offset = producer.tryClaim(commandFrameBytes(header), COMMAND_FRAME)
  codec.encode(data, producer.bytes, producer.view, writeCommandHeader(header, producer.bytes, producer.view, offset))
  producer.commit()
  producer.publish()
}

/** The hash of a plant that took the commands at its own door. */
async function hashOf(commands: readonly Sent[]): Promise<string> {
  const plant = await openPlant({ entities: [Press] })
  for (const { entity, sequence, temperature } of commands) {
    await plant.entity(Press, entity.slice('press/'.length)).sample({ temperature }, { source: 'device', sequence })
  }
  const { live } = await plant.stateHash()
  await plant.close()
  return live
}

function series(entity: string, count: number, from = 1): Sent[] {
  return Array.from({ length: count }, (_, index) => ({ entity, sequence: from + index, temperature: index / 3 }))
}

describe('captured commands in a new plant', () => {
  test('lead to the state of a plant that got them at its door', async () => {
    const commands = [...series('press/1', 40), ...series('press/2', 30), { entity: 'press/1', sequence: 41, temperature: 2000 }]

    const replay = await replayCaptures([await captured('commands-g0-w0', commands)], definition)

    expect(replay).toMatchObject({ commands: 71, rows: 71, gaps: 0, truncated: [] })
    expect(replay.stateHash.live).toBe(await hashOf(commands))
    expect(replay.stateHash.replayed).toBe(replay.stateHash.live)
  })

  test('take effect once when a client had sent them again', async () => {
    const commands = series('press/1', 20)

    const replay = await replayCaptures(
      [await captured('commands-g0-w0', [...commands, ...commands.slice(10), ...series('press/1', 5, 21)])],
      definition,
    )

    expect(replay).toMatchObject({ commands: 35, rows: 25 })
    expect(replay.stateHash.live).toBe(await hashOf([...commands, ...series('press/1', 5, 21)]))
  })

  test('come from a file for each worker, in any order', async () => {
    const first = await captured('commands-g0-w0', series('press/1', 20))
    const second = await captured('commands-g0-w1', series('press/2', 20))

    const replay = await replayCaptures([second, first], definition)

    expect(replay.stateHash.live).toBe(await hashOf([...series('press/1', 20), ...series('press/2', 20)]))
  })

  test('may be many more than a ring holds', async () => {
    const [rounds, perRound] = [4, 2000]
    const producer = openChannel({
      directory,
      name: 'commands-g0-w0',
      role: 'producer',
      schemaHash: model.schemaHash,
      capacityBytes: 2 ** 18,
    })
    const consumer = openChannel({ directory, name: 'commands-g0-w0', role: 'consumer', schemaHash: model.schemaHash })
    open.push(producer)
    const path = join(directory, 'many.cap')
    const paths = openedChannel(directory, 'commands-g0-w0')
    const end = new AbortController()
    const running = capture({ ...paths, path, leaseMs: 10_000, signal: end.signal })
    for (let round = 0; round < rounds; round++) {
      for (const command of series('press/1', perRound, round * perRound + 1)) sendCommand(producer, command)
      while (consumer.consumer.next() !== NO_FRAME) consumer.consumer.release(consumer.consumer.endPosition)
      await expect.poll(() => producer.stat().tap.position, { timeout: 10_000, interval: 2 }).toBe(producer.stat().publishedPosition)
    }
    end.abort()
    expect(await running).toMatchObject({ frames: rounds * perRound, gaps: 0 })
    consumer.close()
    const progress: number[] = []

    const replay = await replayCaptures([path], definition, (done, total) => progress.push(done / total))

    expect(replay).toMatchObject({ commands: rounds * perRound, rows: rounds * perRound })
    expect(progress.at(-1)).toBe(1)
  })

  test('are refused when they are not of this plant, not of a commands channel, or twice of one', async () => {
    const path = await captured('commands-g0-w0', series('press/1', 1))
    const foreign = await captured('commands-g0-w1', series('press/1', 1), 12_345)
    const answers = await captured('answers-w0-g0', series('press/1', 1))

    await expect(replayCaptures([foreign], definition)).rejects.toMatchObject({ code: 'ERR_CAPTURE_SCHEMA' })
    await expect(replayCaptures([answers], definition)).rejects.toMatchObject({ code: 'ERR_CAPTURE_CHANNEL' })
    await expect(replayCaptures([path, path], definition)).rejects.toMatchObject({ code: 'ERR_CAPTURE_CHANNEL' })
  })
})
