import type { EntityId } from '#base/ids.js'
import { PlantRig, type RigOptions } from './plant-rig.js'
import { RigClient } from './rig-client.js'

/** A loaded rig with one client, to talk with its entities and to look at their states. */
export async function openTalk(options: RigOptions) {
  const rig = await PlantRig.open(options)
  await rig.until(() => rig.isIdle)
  let id = 0
  const client = new RigClient(rig, 'plc', 0, () => id++)
  const send = (entity: EntityId, command: string, data: Readonly<Record<string, unknown>>) =>
    client.send({ entity, command, data, at: undefined, answer: 'always' })
  const state = async <S>(entity: EntityId): Promise<S | undefined> => {
    for (let slot = 0; slot < rig.workerCount; slot++) {
      const read = rig.worker(slot).read(entity, (live) => structuredClone(live.state) as S)
      if (read === undefined) continue
      let done: S | undefined
      void read.then((one) => (done = one))
      await rig.until(() => done !== undefined)
      return done
    }
    return undefined
  }
  return { rig, client, send, state, settle: () => rig.until(() => rig.isIdle && client.isSettled) }
}
