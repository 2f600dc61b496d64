import { afterEach, describe, expect, test } from 'vitest'
import type { EntityId } from '#base/ids.js'
import { ChangedWorld } from '#entity/changed-world.js'
import { type AnyEntity, defineEntity, encodeSnapshot, i32, PlantModel } from '#entity/index.js'
import { CheckFold, type CheckFoldOptions } from '#runtime/check-fold.js'
import { type InlinePlant, openPlant } from '#runtime/inline-plant.js'
import { TwoFolds } from '#runtime/two-folds.js'

const ID: EntityId = 'tally/a'
let plant: InlinePlant

afterEach(() => plant.close())

describe('a state that is large', () => {
  test('is not looked at after each event, and yet what differs is found', async () => {
    const initial = () => ({ total: 0, list: Array.from({ length: 5000 }, () => 0) })
    const Large = tally({ initial })
    const Other = tally({ initial, add: (state, n) => void (state.total += n === 7 ? 1 : n) })
    await store(Large, [1, 2, 7, 3])
    const [one, two] = [await foldOf(Large), await foldOf(Other)]
    const folds = compare(one, two)

    expect(one.looked).toBe(1)
    expect(folds.differences).toMatchObject([{ type: 'tally', entity: ID, version: 4, entities: 1 }])
  })
})

describe('a state that is so large that its copies count', () => {
  test('is looked at as often where copies are made as where none are', async () => {
    const Middling = tally({ initial: () => ({ total: 0, list: Array.from({ length: 200 }, () => 0) }) })
    await store(Middling, [1, 2, 3, 4])
    const folds = compare(await foldOf(Middling), await foldOf(Middling, { copies: ['order and snapshot'] }))

    expect(folds.isSame).toBe(true)
  })
})

describe('an entity whose first rows are gone', () => {
  const Tally = tally({})
  const content = { state: { total: 3 }, outcomes: undefined, latestAt: 0 }

  test('is folded from its base snapshot on', async () => {
    await store(Tally, [1, 2, 3])
    const base = encodeSnapshot(new PlantModel([Tally]).models[0] as PlantModel['models'][number], content)
    const { fold, faults } = await foldOf(Tally, { from: 2, base: { version: 2, bytes: base } })

    expect(faults).toEqual([])
    expect(fold.counts).toMatchObject({ events: 1, entities: 1 })
    expect(fold.stateAt(3)).toBeDefined()
  })

  test('is named when there is none', async () => {
    await store(Tally, [1, 2, 3])
    const { faults } = await foldOf(Tally, { from: 2 })

    expect(faults).toMatchObject([{ kind: 'rows-missing', entity: ID, version: 0, message: 'rows 1 to 2 are not there' }])
  })
})

describe('code that cannot fold what is stored', () => {
  const Tally = tally({})

  test.each<[string, AnyEntity, object]>([
    ['throws', tally({ add: fails }), { kind: 'throws', version: 2, event: 'Added', message: expect.stringContaining('it threw: no') }],
    ['makes a state that is no plain data', tally({ add: oddly }), { kind: 'not-plain', version: 2, event: 'Added' }],
  ])('is named where it %s, and the fold of the entity ends there', async (_, entity, fault) => {
    await store(Tally, [1, 2, 3])
    const { fold, faults } = await foldOf(entity)

    expect(faults).toMatchObject([{ entity: ID, ...fault }])
    expect(fold.stateAt(3)).toBeUndefined()
  })

  test('is passed over where the plant has no such type', async () => {
    await store(Tally, [1, 2, 3])
    const { fold } = await foldOf(tally({ name: 'other' }))

    expect(fold.counts).toMatchObject({ events: 0, passedOver: 3 })
  })
})

describe('a snapshot', () => {
  const Tally = tally({})

  test.each([
    ['holds what its events come to', 3, []],
    ['holds something else', 4, [{ kind: 'snapshot', entity: ID, version: 2 }]],
  ])('that %s', async (_, total, expected) => {
    await store(Tally, [1, 2, 3])
    const [model] = new PlantModel([Tally]).models
    const bytes = encodeSnapshot(model as NonNullable<typeof model>, { state: { total }, outcomes: undefined, latestAt: 0 })
    const { fold, faults } = await foldOf(Tally, { snapshot: { version: 2, bytes } })

    expect(faults).toMatchObject(expected)
    expect(fold.counts.snapshots).toBe(1)
  })
})

interface State {
  total: number
  odd?: unknown
}

function tally(parts: {
  readonly name?: string
  readonly initial?: () => object
  readonly add?: (state: State, n: number) => void
}): AnyEntity {
  const { name = 'tally', initial = () => ({ total: 0 }), add = (state, n) => void (state.total += n) } = parts
  return defineEntity({
    name,
    events: { Added: { n: i32() } },
    commands: { add: { n: i32() } },
    initial,
    decide: { add: (_state, command, { emit }) => emit.Added(command) },
    apply: { Added: (state, { n }) => add(state as State, n) },
  })
}

function fails(_state: State, n: number): void {
  if (n === 2) throw new Error('no')
}

function oddly(state: State, n: number): void {
  if (n === 2) state.odd = Buffer.from('odd')
}

async function store(entity: AnyEntity, numbers: readonly number[]): Promise<void> {
  plant = await openPlant({ entities: [entity] })
  for (const n of numbers) await plant.send(ID, 'add', { n })
}

interface Kept {
  readonly version: number
  readonly bytes: Uint8Array
}

interface Parts {
  readonly from?: number
  readonly base?: Kept
  readonly snapshot?: Kept
  readonly copies?: CheckFoldOptions['copies']
}

/** Folds the log of the plant from a position on. */
async function foldOf(entity: AnyEntity, parts: Parts = {}) {
  const { journal } = plant
  const { from = 0, base, snapshot, copies = [] } = parts
  const options: CheckFoldOptions = {
    plant: new PlantModel([entity]),
    types: journal.eventTypes,
    world: new ChangedWorld({}),
    copies,
    isThorough: from > 0 || snapshot !== undefined,
    wants: () => true,
    to: journal.endPosition,
    isComparing: true,
  }
  const fold = new CheckFold(options)
  const head = journal.head(ID)
  if (head === undefined) throw new Error('nothing is stored')
  const { shard, number } = head
  fold.learn(shard, number, [ID])
  const faults = [
    ...(base === undefined ? [] : fold.keep([{ shard, number, entity: ID, isBase: true, ...base }])),
    ...(snapshot === undefined ? [] : fold.keep([{ shard, number, entity: ID, isBase: false, ...snapshot }])),
  ]
  const blocks: { readonly bytes: Uint8Array; readonly digests: Uint32Array }[] = []
  let looked = 0
  for await (const bytes of journal.blocks({ from })) {
    const answer = fold.block(bytes, 'test')
    blocks.push({ bytes, digests: answer.digests })
    faults.push(...answer.faults)
    looked += answer.digests.filter((digest) => digest !== 0).length
  }
  return { fold, faults, blocks, looked, finish: fold.finish(), shard, number }
}

type Folded = Awaited<ReturnType<typeof foldOf>>

function compare(one: Folded, two: Folded): TwoFolds {
  const folds = new TwoFolds(plant.journal.eventTypes)
  folds.learn(one.shard, one.number, [ID])
  const answerOf = (digests: Uint32Array) => ({ digests: Buffer.from(digests.buffer).toString('base64'), faults: [] })
  for (const [index, { bytes, digests }] of one.blocks.entries()) {
    folds.takeBlock(bytes, 'test', answerOf(digests), answerOf(two.blocks[index]?.digests ?? new Uint32Array()))
  }
  folds.takeFinish({ ...one.finish, counts: one.fold.counts }, { ...two.finish, counts: two.fold.counts })
  return folds
}
