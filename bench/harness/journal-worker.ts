import { closeSync, openSync, writeSync } from 'node:fs'
import type { Journal, Snapshot } from '#journal/journal.js'
import { openLmdbJournal } from '#journal/lmdb/index.js'
import { JournalWork, snapshotBytes, WORK_TYPES, type WorkStep } from './journal-work.js'

/** What the worker is told, as JSON in its one argument. */
export interface JournalTask {
  readonly directory: string
  /** File into which each acknowledgement goes: an Acknowledgement as a line of JSON. */
  readonly acks: string
  readonly seed: number
  readonly steps: number
}

/** What was promised when it was written: it stays true in whatever the disk has from then on. */
export interface Acknowledgement {
  /** Steps done. */
  readonly step: number
  readonly endPosition: number
  /** Rows before it were dropped. */
  readonly firstPosition: number
  readonly checkpoint?: { readonly name: string; readonly value: string }
}

/** So small that the work crosses them often. */
const HEADS_EVERY_ROWS = 300
const SEGMENT_ROWS_MAX = 700

/** Does seeded work on a journal of its own and says after each step what is durable. The program that runs under the recorded disk. */
async function work(task: JournalTask): Promise<void> {
  const acks = openSync(task.acks, 'w')
  const open = () =>
    openLmdbJournal({ directory: task.directory, headsEveryRows: HEADS_EVERY_ROWS, segmentRowsMax: SEGMENT_ROWS_MAX, reserveBytes: 0 })
  let journal = await open()
  const types = await journal.register(WORK_TYPES)
  let done = 0
  for (const step of new JournalWork(task.seed, types).steps(task.steps)) {
    if (step.kind === 'reopen') {
      await journal.close()
      journal = await open()
    } else await carryOut(journal, step)
    const checkpoint = step.kind === 'checkpoint' ? { name: step.name, value: Buffer.from(step.value).toString('hex') } : undefined
    const { endPosition, firstPosition } = journal
    const said: Acknowledgement = { step: ++done, endPosition, firstPosition, ...(checkpoint === undefined ? {} : { checkpoint }) }
    writeSync(acks, `${JSON.stringify(said)}\n`)
  }
  await journal.close()
  closeSync(acks)
}

async function carryOut(journal: Journal, step: WorkStep): Promise<void> {
  if (step.kind === 'append') await journal.append(step.batch)
  else if (step.kind === 'snapshots') await journal.saveSnapshots(step.snapshots)
  else if (step.kind === 'checkpoint') await journal.saveCheckpoint(step.name, step.value)
  else if (step.kind === 'seal') await journal.seal()
  else if (step.kind === 'drop') await dropOldest(journal)
}

/** As retention does: base snapshots take the place of rows before these go. */
async function dropOldest(journal: Journal): Promise<void> {
  const [oldest, next] = journal.sealedSegments()
  if (oldest === undefined || next === undefined) return
  const bases: Snapshot[] = []
  for await (const { entity, version } of journal.lastVersions(oldest.name)) {
    bases.push({ entity, version, term: 1, appendNumber: 1, position: oldest.endPosition, bytes: snapshotBytes(entity, version) })
  }
  await journal.saveBases(bases)
  await journal.dropOldest(oldest.name)
}

if (process.argv[2] !== undefined && process.argv[1]?.endsWith('journal-worker.js')) await work(JSON.parse(process.argv[2]) as JournalTask)
