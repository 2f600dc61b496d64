import { setTimeout as delay } from 'node:timers/promises'
import { type EntityId, SHARD_COUNT_DEFAULT, shardOfId } from '#base/ids.js'
import { type KinNode, KinTree } from '#reading/kin-tree.js'
import { readGatewayDoors } from '#runtime/gateway-doors.js'
import { importPlant } from '#runtime/plant-module.js'
import { Placement } from '#shards/placement.js'
import { PlantFolder } from '../apps/plant-folder.js'
import { CellRig } from '../actors/cell-rig.js'
import { PlantRig } from '../actors/plant-rig.js'
import type { PlantOfProcesses } from './plant-of-processes.js'

export const CELL_WORKERS = 2
const LOOK_EVERY_MS = 20
const PATIENCE_MS = 30_000

/** Cells of presses, and boards that watch presses. A press that is told to do 13 strokes errs, one that is told to do 666 takes its process along. */
export const CELL_PLANT = `import { defineEntity, definePlant, i32, label, signal } from 'millrace'

const Press = defineEntity({
  name: 'press',
  events: { Stroked: { count: i32() } },
  commands: { stroke: { count: i32() }, strokes: {} },
  initial: () => ({ strokes: 0 }),
  decide: {
    stroke(_press, command, { emit }) {
      if (command.count === 13) throw new Error('the die is worn')
      if (command.count === 666) process.kill(process.pid, 'SIGKILL')
      emit.Stroked(command)
    },
    strokes: (press) => press.strokes,
  },
  apply: { Stroked: (press, { count }) => void (press.strokes += count) },
})

const heard = {
  events: { Heard: { text: label() } },
  initial: () => ({ heard: [] }),
  apply: { Heard: (state, { text }) => void state.heard.push(text) },
}
const hear = (_state, { signal, from, code }, { emit }) => emit.Heard({ text: from + ' ' + signal + ' ' + (code ?? '') })

const Cell = defineEntity({
  ...heard,
  name: 'cell',
  commands: { begin: { first: label(), second: label() }, end: {}, onPress: signal(), heard: {} },
  supervise: { restarts: 2, withinMs: 3_600_000, signal: 'onPress' },
  decide: {
    begin(_cell, { first, second }, { spawn }) {
      spawn(Press, first)
      spawn(Press, second)
    },
    end: (_cell, _command, { exit }) => exit(),
    onPress: hear,
    heard: (cell) => cell.heard,
  },
})

const Board = defineEntity({
  ...heard,
  name: 'board',
  commands: { watch: { press: label() }, onPress: signal(), heard: {} },
  decide: {
    watch: (_board, { press }, { watch }) => watch(Press, press, { signal: 'onPress' }),
    onPress: hear,
    heard: (board) => board.heard,
  },
})

export default definePlant({ entities: [Press, Cell, Board] })
`

/** A plant of that kind, on either tier. */
export interface CellPlant {
  /** The reply, or `done`; or the code of a failure. */
  send(entity: EntityId, command: string, data?: Readonly<Record<string, unknown>>): Promise<unknown>
  tree(): Promise<readonly KinNode[]>
  killWorkerOf(entity: EntityId): Promise<void>
  /** Which worker has it. */
  workerOf(entity: EntityId): number
  /** Until it holds; what was there at last otherwise. */
  until<T>(read: () => Promise<T>, holds: (found: T) => boolean): Promise<T>
  close(): Promise<void>
}

export async function inlineCells(): Promise<CellPlant> {
  const folder = new PlantFolder(CELL_PLANT)
  const { entities } = await importPlant(folder.plantFile)
  const rig = await PlantRig.open({ entities, workers: CELL_WORKERS })
  await rig.until(() => rig.isIdle)
  const cells = new CellRig(rig)
  return {
    send: (entity, command, data = {}) => cells.send(entity, command, data),
    async tree() {
      const tree = new KinTree()
      for (const row of await rig.rows()) tree.take(row)
      return tree.roots()
    },
    workerOf: (entity) => workerOf(entity, rig.journal.shardCount),
    async killWorkerOf(entity) {
      const slot = workerOf(entity, rig.journal.shardCount)
      rig.killWorker(slot)
      rig.startWorker(slot, { predecessor: 'SIGKILL' })
      await cells.settle()
    },
    until: (read) => read(),
    close: async () => void folder.remove(),
  }
}

export function cellsOfProcesses(plant: PlantOfProcesses): CellPlant {
  const url = readGatewayDoors(plant.folder.data)?.http
  return {
    async send(entity, command, data = {}) {
      const body = JSON.stringify({ entity, command, data })
      const answer = await fetch(`${url}/v1/commands`, { method: 'POST', body })
      const { ok, reply, error = 'no answer' } = (await answer.json()) as { ok?: boolean; reply?: unknown; error?: string }
      return ok === true ? (reply ?? 'done') : error.split(':')[0]
    },
    async tree() {
      return (await plant.run('status', '--tree', '--json')).json['tree'] as readonly KinNode[]
    },
    workerOf: (entity) => workerOf(entity, SHARD_COUNT_DEFAULT),
    async killWorkerOf(entity) {
      await plant.session.kill('worker', workerOf(entity, SHARD_COUNT_DEFAULT))
    },
    async until(read, holds) {
      const deadline = Date.now() + PATIENCE_MS
      for (;;) {
        const found = await read()
        if (holds(found) || Date.now() > deadline) return found
        await delay(LOOK_EVERY_MS)
      }
    },
    close: async () => undefined,
  }
}

function workerOf(entity: EntityId, shardCount: number): number {
  return Placement.even(shardCount, CELL_WORKERS).slotOf(shardOfId(entity, shardCount))
}
