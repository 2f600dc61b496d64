import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { EntityId } from '#base/ids.js'
import type { Settlement } from '#ingest/door.js'
import { readHeader } from '#journal/block-format.js'
import { fencedMessage } from '#runtime/fenced-entities.js'
import { openPlant } from '#runtime/inline-plant.js'
import { PlantRig } from '../actors/plant-rig.js'
import { RigClient } from '../actors/rig-client.js'
import type { PlantFolder } from '../apps/plant-folder.js'
import { Counter } from '../faults/counter.js'
import { damageBlockAt } from '../faults/damage-block.js'
import type { PlantOfProcesses } from './plant-of-processes.js'

/** The second report of a machine `a` is in a block of its own, which is damaged. */
const REPORTED = ['a', 'b', 'a', 'b']
const DAMAGED = 2

export interface FencedMachine {
  readonly machine: string
  readonly upTo: number
}

/** A plant that has started on a log with damage, as machines and operators meet it. */
export interface DamagedPlant {
  report(machine: string): Promise<{ readonly isTaken: boolean; readonly said: string }>
  /** The machines that it lists as fenced, and up to which of their reports. */
  fenced(): Promise<FencedMachine[]>
  /** What it has said of it by itself. */
  warnings(): string
  /** How many of its processes have failed since. */
  failures(): number
}

interface ListedEntity {
  readonly entity: string
  readonly worker: number
  readonly version: number
  readonly code: string
}

/** Leaves a damaged log in the folder of a plant that is about to start. */
export async function damageLogIn(folder: PlantFolder): Promise<void> {
  const plant = await openPlant({ entities: [Counter], data: folder.data })
  for (const machine of REPORTED) await plant.entity(Counter, machine).count({ n: 1 })
  await plant.close()
  damageBlockAt(folder.data, DAMAGED)
}

/** Tier 1, by the command line. */
export function damagedProcesses(plant: PlantOfProcesses): DamagedPlant {
  return {
    async report(machine) {
      const { code, json } = await plant.run('send', entityOf(machine), 'count', '{"n":3}', '--json')
      return { isTaken: code === 0 && json['ok'] === true, said: JSON.stringify(json) }
    },
    async fenced() {
      const [listed, shown, status] = await Promise.all([
        plant.run('status', '--fenced', '--json'),
        plant.run('status', '--fenced'),
        plant.run('status'),
      ])
      const { fenced, silent } = listed.json as unknown as { fenced: readonly ListedEntity[]; silent: readonly unknown[] }
      const isToldToPeople = fenced.every(({ entity, worker, version, code }) =>
        new RegExp(`^${entity} +worker/${worker} +${version} +${code}$`, 'm').test(shown.stdout),
      )
      if (silent.length > 0 || !isToldToPeople || !status.stdout.includes(`${fenced.length} of the entities take no commands`))
        throw new Error(`the list for people says something else: ${shown.stdout} ${status.stdout}`)
      return fenced.map(({ entity, version }) => ({ machine: machineOf(entity), upTo: version }))
    },
    warnings: () => supervisorLog(plant),
    failures: () => supervisorLog(plant).match(/"kind":"(exit","code":[1-9]|signal)/g)?.length ?? 0,
  }
}

/** Tier 0. */
export async function damagedInline(): Promise<DamagedPlant> {
  const rig = await PlantRig.open({ entities: [Counter] })
  let count = 0
  const client = new RigClient(rig, 'machines', 0, () => count++)
  const report = async (machine: string): Promise<Settlement | undefined> => {
    const sent = client.send({ entity: entityOf(machine), command: 'count', data: { n: 1 }, at: undefined, answer: 'always' })
    await rig.until(() => sent.settlements.length > 0)
    return sent.settlements[0]
  }
  for (const machine of REPORTED) await report(machine)
  const block = rig.journal.stored.blocks[DAMAGED] as Uint8Array
  const at = readHeader(block).headerBytes - 1
  block[at] = (block[at] as number) ^ 4
  let warnings = ''
  rig.killWorker()
  rig.startWorker(0, {
    onFenced: ({ entities, damages }) => {
      warnings += fencedMessage(entities, damages)
    },
  })
  await rig.until(() => rig.isIdle)
  return {
    async report(machine) {
      const settled = await report(machine)
      return { isTaken: settled?.kind === 'done', said: settled?.kind === 'failed' ? settled.message : '' }
    },
    fenced: async () => rig.worker().fenced.map(({ entity, version }) => ({ machine: machineOf(entity), upTo: version })),
    warnings: () => warnings,
    failures: () => rig.failures.length,
  }
}

function supervisorLog({ folder }: PlantOfProcesses): string {
  return readFileSync(join(folder.data, 'logs', 'supervisor.log'), 'utf8')
}

function entityOf(machine: string): EntityId {
  return `counter/${machine}`
}

function machineOf(entity: string): string {
  return entity.slice('counter/'.length)
}
