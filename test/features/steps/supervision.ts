import { Given, Then, When } from 'quickpickle'
import { expect } from 'vitest'
import type { EntityId } from '#base/ids.js'
import type { KinNode } from '#reading/kin-tree.js'
import { CELL_PLANT, CELL_WORKERS, type CellPlant, cellsOfProcesses, inlineCells } from '../cell-plant.js'
import type { OperatorWorld } from '../operator-world.js'

/** So that poison is told from bad luck soon. */
const PARKING = { MILLRACE_WORKERS__PARK_AFTER_DEATHS: '2' }

interface CellWorld extends OperatorWorld {
  cells: CellPlant
  /** Apart from those of the scenarios before. */
  run: number
  board: EntityId
  answer: unknown
}

let runs = 0

Given('a cell that has spawned the presses left and right, and restarts one that errs, twice an hour at most', async (world: CellWorld) => {
  world.run = ++runs
  if (world.isOfProcesses) {
    await world.share({ plantText: CELL_PLANT, workers: CELL_WORKERS, env: PARKING })
    world.cells = cellsOfProcesses(world.running)
  } else world.cells = await inlineCells()
  world.onEnd(() => world.cells.close())
  expect(await world.cells.send(cellOf(world), 'begin', { first: nameOf(world, 'left'), second: nameOf(world, 'right') })).toBe('done')
  await world.cells.until(
    () => heardBy(world, cellOf(world)),
    (heard) => heard.length === 2,
  )
})

Given('press left has done {int} strokes, and press right has done {int}', async (world: CellWorld, left: number, right: number) => {
  expect(await world.cells.send(pressOf(world, 'left'), 'stroke', { count: left })).toBe('done')
  expect(await world.cells.send(pressOf(world, 'right'), 'stroke', { count: right })).toBe('done')
})

Given('a board in another process that watches press left', async (world: CellWorld) => {
  const { cells } = world
  const press = pressOf(world, 'left')
  for (let number = 0; world.board === undefined; number++) {
    const board: EntityId = `board/${world.run}-${number}`
    if (cells.workerOf(board) !== cells.workerOf(press)) world.board = board
  }
  expect(await cells.send(world.board, 'watch', { press: nameOf(world, 'left') })).toBe('done')
  // What it has told the press comes before what the press is told here.
  await cells.until(
    async () => (await treeOf(world)).some(({ entity, watches }) => entity === world.board && watches.length > 0),
    (isThere) => isThere,
  )
})

When('press {word} errs', async (world: CellWorld, press: string) => {
  const before = (await heardOf(world, press)).length
  expect(await world.cells.send(pressOf(world, press), 'stroke', { count: 13 })).toBe('DECIDE_FAILED')
  await world.cells.until(
    () => heardOf(world, press),
    (heard) => heard.length >= before + 2,
  )
})

When('the cell stops', async (world: CellWorld) => {
  expect(await world.cells.send(cellOf(world), 'end')).toBe('done')
})

When('the process of press left dies', (world: CellWorld) => world.cells.killWorkerOf(pressOf(world, 'left')))

When('press left is told to do what ends its worker', (world: CellWorld) => tellStrokes(world, 666))

When('press left is told to do {int} strokes', tellStrokes)

Then('the command fails, since it is parked', ({ answer }: CellWorld) => expect(answer).toBe('PARKED'))

Then('press {word} has done {int} strokes', async (world: CellWorld, press: string, strokes: number) => {
  const read = () => world.cells.send(pressOf(world, press), 'strokes')
  expect(await world.cells.until(read, (done) => done === strokes)).toBe(strokes)
})

Then('press {word} takes no commands, since it is stopped', async (world: CellWorld, press: string) => {
  const send = () => world.cells.send(pressOf(world, press), 'strokes')
  expect(await world.cells.until(send, (said) => said === 'STOPPED')).toBe('STOPPED')
})

Then('the operator sees that press {word} runs, was restarted once, and why', async (world: CellWorld, press: string) => {
  expect(await nodeOf(world, press)).toMatchObject({
    phase: 'running',
    restarts: 1,
    error: { code: 'DECIDE_FAILED', message: 'the die is worn' },
  })
})

Then('the operator sees that press {word} is stopped with its cell', async (world: CellWorld, press: string) => {
  const stopped = await world.cells.until(
    () => treeOf(world),
    (tree) => [cellOf(world), pressOf(world, press)].every((one) => tree.find(({ entity }) => entity === one)?.phase === 'stopped'),
  )
  for (const one of [cellOf(world), pressOf(world, press)]) expect(stopped.find(({ entity }) => entity === one)?.phase).toBe('stopped')
})

Then('the cell has heard of press {word} that it started, errored and started', async (world: CellWorld, press: string) => {
  expect(await heardOf(world, press)).toEqual(['started', 'errored DECIDE_FAILED', 'started'])
})

Then('the board has heard that press left was lost', async (world: CellWorld) => {
  const heard = await world.cells.until(
    () => heardBy(world, world.board),
    (all) => all.length > 0,
  )
  expect(heard).toEqual([`${pressOf(world, 'left')} lost SIGKILL`])
})

async function tellStrokes(world: CellWorld, count: number): Promise<void> {
  world.answer = await world.cells.send(pressOf(world, 'left'), 'stroke', { count })
}

function nameOf({ run }: CellWorld, press: string): string {
  return `${run}-${press}`
}

function pressOf(world: CellWorld, press: string): EntityId {
  return `press/${nameOf(world, press)}`
}

function cellOf({ run }: CellWorld): EntityId {
  return `cell/${run}`
}

async function heardBy({ cells }: CellWorld, entity: EntityId): Promise<readonly string[]> {
  const heard = await cells.send(entity, 'heard')
  return Array.isArray(heard) ? (heard as readonly string[]) : []
}

/** What the cell has heard of a press, without its name. */
async function heardOf(world: CellWorld, press: string): Promise<readonly string[]> {
  const begin = `${pressOf(world, press)} `
  return (await heardBy(world, cellOf(world))).flatMap((text) => (text.startsWith(begin) ? [text.slice(begin.length).trim()] : []))
}

/** All nodes of the tree. */
async function treeOf({ cells }: CellWorld): Promise<readonly KinNode[]> {
  const all = (node: KinNode): KinNode[] => [node, ...node.children.flatMap(all)]
  return (await cells.tree()).flatMap(all)
}

async function nodeOf(world: CellWorld, press: string): Promise<KinNode | undefined> {
  return (await treeOf(world)).find(({ entity }) => entity === pressOf(world, press))
}
