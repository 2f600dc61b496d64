import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Piscina } from 'piscina'
import { assert } from '#base/assert.js'
import { entityId } from '#base/ids.js'
import { type EntityModel, PlantModel } from '#entity/index.js'
import { BlockReplay } from '#journal/block-replay.js'
import type { Journal } from '#journal/journal.js'
import { THREAD_OPTIONS } from '#journal/lmdb/thread-options.js'
import { entityRowsOf, readEntityState } from '#reading/entity-state.js'
import { openLog } from '#runtime/data-directory.js'
import { compiledPath } from './compiled.js'
import type { DecodedRows } from './decode-thread.js'
import { makePressLog } from './press-log.js'
import { Press } from './press-plant.js'
import { median } from './samples.js'

/** Milliseconds to fold the same log, in one process that has done it before. */
export interface ParallelRecovery {
  readonly entities: number
  readonly events: number
  /** One query per entity, one after the other: what recovery must never do. */
  readonly sequentialMs: number
  /** One scan, as recovery does it. */
  readonly scanMs: number
  /** The same scan with the blocks decoded in so many threads beside the one that applies; 0: in that one. */
  readonly decodeThreadsMs: Readonly<Record<'0' | '1' | '2', number>>
}

interface Folded {
  readonly states: Map<number, { temperature: number; cycles: number }>
  cycles: number
}

export async function measureParallel(entities: number, eventsEach: number, rounds: number): Promise<ParallelRecovery> {
  const data = mkdtempSync(join(tmpdir(), 'millrace-recovery-parallel-'))
  try {
    await makePressLog(data, entities, eventsEach)
    const journal = await openLog(data, { isReadOnly: true })
    try {
      return await measure(journal, entities, eventsEach, rounds)
    } finally {
      await journal.close()
    }
  } finally {
    rmSync(data, { recursive: true, force: true })
  }
}

async function measure(journal: Journal, entities: number, eventsEach: number, rounds: number): Promise<ParallelRecovery> {
  const model = new PlantModel([Press]).model('press') as EntityModel
  const blocks: Uint8Array[] = []
  for await (const block of journal.blocks({ from: 0 })) blocks.push(block)
  const expected = entities * eventsEach
  const timed = async (work: () => Promise<number>): Promise<number> => {
    const times: number[] = []
    for (let round = 0; round <= rounds; round++) {
      const startMs = performance.now()
      const cycles = await work()
      times.push(performance.now() - startMs)
      assert(cycles === expected, 'every event was applied')
    }
    return Math.round(median(times.slice(1)) * 10) / 10
  }
  const types = journal.eventTypes
  const inThreads = async (threads: number): Promise<number> => {
    const pool = new Piscina({
      ...THREAD_OPTIONS,
      filename: compiledPath('harness/decode-thread'),
      minThreads: threads,
      maxThreads: threads,
      workerData: types,
    })
    try {
      return await timed(async () => {
        const folded: Folded = { states: new Map(), cycles: 0 }
        const decoding = blocks.map((block) => pool.run(block) as Promise<DecodedRows>)
        for (const rows of decoding) applyRows(model, await rows, folded)
        return folded.cycles
      })
    } finally {
      await pool.destroy()
    }
  }
  const inPlace = await timed(async () => {
    const folded: Folded = { states: new Map(), cycles: 0 }
    for (const block of blocks)
      new BlockReplay(block, types).forEachRowOfShards(
        () => (row) => apply(model, folded, row.shard, row.entityNumber, row.data() as { temperature: number; cycle: number }),
      )
    return folded.cycles
  })
  return {
    entities,
    events: expected,
    sequentialMs: await timed(() => oneByOne(journal, model, entities)),
    scanMs: inPlace,
    decodeThreadsMs: { '0': inPlace, '1': await inThreads(1), '2': await inThreads(2) },
  }
}

async function oneByOne(journal: Journal, model: EntityModel, entities: number): Promise<number> {
  const rows = entityRowsOf(journal)
  let cycles = 0
  for (let index = 1; index <= entities; index++) {
    const id = entityId('press', `press-${index}`)
    const found = await readEntityState(rows, model, id, journal.head(id)?.version ?? 0)
    if (found !== undefined) cycles += (found.state as { cycles: number }).cycles
  }
  return cycles
}

function applyRows(model: EntityModel, { shards, numbers, temperatures, cycles }: DecodedRows, folded: Folded): void {
  for (let index = 0; index < shards.length; index++) {
    const event = { temperature: temperatures[index] as number, cycle: cycles[index] as number }
    apply(model, folded, shards[index] as number, numbers[index] as number, event)
  }
}

function apply(model: EntityModel, folded: Folded, shard: number, number: number, event: { temperature: number; cycle: number }): void {
  const key = shard * 2 ** 24 + number
  let state = folded.states.get(key)
  if (state === undefined) folded.states.set(key, (state = model.initial() as { temperature: number; cycles: number }))
  model.apply(state, 0, event)
  folded.cycles++
}
