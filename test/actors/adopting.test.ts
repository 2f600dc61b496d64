import { expect, test } from 'vitest'
import { shardOfId } from '#base/ids.js'
import { Relay, type RelayState } from './relay.js'
import { openTalk } from './rig-talk.js'

const SHARDS = 8

/** The name of a relay whose shard a worker has at first. */
function nameAt(slot: number): string {
  for (let number = 0; ; number++) if (shardOfId(`relay/r${number}`, SHARDS) % 2 === slot) return `r${number}`
}

test('a shard that was placed somewhere gets all that it is sent before the worker there is asked to take it, from its own entities as well', async () => {
  const { rig, send, state, settle } = await openTalk({ entities: [Relay], workers: 2, shardCount: SHARDS })
  const [coming, there] = [nameAt(0), nameAt(1)]
  const shards = [shardOfId(`relay/${coming}`, SHARDS)]
  send(`relay/${coming}`, 'take', { id: 0 })
  await settle()
  rig.placement.hold(shards)
  rig.publish()
  const release = rig.worker(0).release(shards)
  await rig.until(() => release.isOver)
  rig.placement.move(shards, 1)
  rig.placement.free(shards)

  send(`relay/${there}`, 'spread', { id: 1, to: [coming] })
  send(`relay/${coming}`, 'take', { id: 2 })
  for (let step = 0; step < 50; step++) rig.stepAll()
  const before = rig.worker(1).counters.commands
  const adopted = [rig.worker(1).adopt(shards), rig.worker(1).adopt(shards)]
  await settle()

  expect(before).toBe(1)
  expect((await state<RelayState>(`relay/${coming}`))?.taken.toSorted()).toEqual([0, 1, 2])
  expect((await Promise.all(adopted)).map(({ entities }) => entities)).toEqual([1, 0])
  expect(rig.worker(0).isIdle).toBe(true)
})
