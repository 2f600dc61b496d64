import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, onTestFinished, test } from 'vitest'
import { defineEntity, f64 } from '#entity/index.js'
import { openPlant } from '#runtime/inline-plant.js'
import { mqttTarget } from '#targets/mqtt.js'
import type { RunningTarget, TargetDefinition } from '#targets/target.js'
import { Broker } from '../ingest/broker.js'

const Press = defineEntity({
  name: 'press',
  events: { Sampled: { temperature: f64('°C') } },
  commands: { sample: { temperature: f64('°C') } },
  initial: () => ({ temperature: 0 }),
  decide: { sample: (_state, command, { emit }) => emit.Sampled(command) },
  apply: {
    Sampled(state, event) {
      state.temperature = event.temperature
    },
  },
})

function dataDirectory(): string {
  const directory = mkdtempSync(join(tmpdir(), 'millrace-targets-'))
  onTestFinished(() => rmSync(directory, { recursive: true, force: true }))
  return join(directory, 'data')
}

/** Notes what is done to it; begins only when `canStart`. */
function noted(name: string, notes: string[], canStart = true): TargetDefinition {
  const target: RunningTarget = {
    name,
    stop: async () => void notes.push(`${name} stopped`),
    stats: () => ({ delivered: 0, resent: 0, rejected: 0, inFlight: 0, position: 0, lag: 0, reconnects: 0, state: 'running' }),
  }
  return {
    kind: 'noted',
    name,
    start: async () => {
      if (!canStart) throw new Error(`${name} cannot begin`)
      notes.push(`${name} started`)
      return target
    },
  }
}

describe('the targets of an inline plant', () => {
  test('get its events, and go on behind them in the next one', async () => {
    const broker = await Broker.start()
    const data = dataDirectory()
    const targets = [mqttTarget({ url: broker.url, topic: 'plant/{name}', name: 'mes', protocolVersion: 4 })]
    const publish = async (temperature: number, count: number) => {
      const plant = await openPlant({ entities: [Press], data, targets, log: () => {} })
      await plant.entity(Press, 'p1').sample({ temperature })
      const deadline = performance.now() + 10_000
      while (broker.published.length < count && performance.now() < deadline) await new Promise((resolve) => setTimeout(resolve, 2))
      await plant.close()
    }

    await publish(1, 1)
    await publish(2, 2)

    expect(broker.published.map(({ payload }) => JSON.parse(payload.toString()) as object)).toMatchObject([
      { entity: 'press/p1', version: 1, data: { temperature: 1 } },
      { entity: 'press/p1', version: 2, data: { temperature: 2 } },
    ])
  })

  test('are stopped with it, and when another one cannot begin', async () => {
    const notes: string[] = []

    const plant = await openPlant({ entities: [Press], targets: [noted('a', notes)] })
    await plant.close()
    await expect(openPlant({ entities: [Press], targets: [noted('b', notes), noted('c', notes, false)] })).rejects.toThrow('c cannot begin')

    expect(notes).toEqual(['a started', 'a stopped', 'b started', 'b stopped'])
  })
})
