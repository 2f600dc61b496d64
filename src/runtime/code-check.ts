import { MillraceError } from '#base/errors.js'
import { PlantModel } from '#entity/index.js'
import type { BlocksBegin, BlocksItem, ExportQuery } from '#export/block-stream.js'
import type { EventType } from '#journal/index.js'
import { registerSchemas } from '#journal/register-schemas.js'
import { readBlocks } from './block-service.js'
import type { FoldCounts } from './check-fold.js'
import { type CodeProblem, describeProblems } from './code-problem.js'
import { packExact } from './exact-pack.js'
import { CONDITIONS, type Condition, OTHER_PLACE, USUAL_PLACE } from './fold-conditions.js'
import { FoldProcess, piecesOf } from './fold-process.js'
import type { FoldBegin } from './fold-service.js'
import type { JournalAccess } from './journal-access.js'
import { importPlant } from './plant-module.js'
import { snapshotTexts } from './snapshot-service.js'
import { TwoFolds } from './two-folds.js'

export interface CodeCheckOptions {
  readonly access: JournalAccess
  readonly dataDirectory: string
  readonly plantFile: string
  /** One entity, or a pattern such as `press/*`. */
  readonly entity?: string | undefined
  /** Rows folded, of how many. */
  readonly onProgress?: (done: number, total: number) => void
}

export interface CodeReport extends FoldCounts {
  readonly ok: boolean
  /** Rows up to here, without it. */
  readonly endPosition: number
  readonly conditions: readonly Condition[]
  readonly eventsPerSecond: number
  /** The first of each kind and entity type. */
  readonly problems: readonly CodeProblem[]
}

/** The states of so many entities are held at a time: logs with more are read several times, some shards each. */
const ENTITIES_PER_PASS = 200_000
/** Blocks on their way to a process, so that it never waits for the next one. */
const BLOCKS_AHEAD = 2

/**
 * Folds the log in two processes whose clocks, random numbers, time zones and locales differ, one of which folds each event twice, on copies of the state with
 * properties in the opposite order; then finds the first event of each entity type behind which the states differ, and why. Also compares snapshots with what is
 * replayed. Reads only, also beside a running plant: of rows that were there when it began. Never calls `decide`. Throws ERR_PLANT_MODULE, ERR_SCHEMA_CHANGED
 * and ERR_SCHEMA_NEWER for code that does not fit the log, ERR_NOT_FOUND for an entity that is not there, ERR_BLOCK_DAMAGED, ERR_SEGMENT_GONE, ERR_FOLD_ENDED.
 */
export async function checkCode(options: CodeCheckOptions): Promise<CodeReport> {
  const { access, dataDirectory, plantFile, onProgress } = options
  const plant = new PlantModel((await importPlant(plantFile)).entities)
  const types = await access.eventTypes()
  await registerSchemas({ eventTypes: types, register: () => Promise.resolve([]) }, plant.schemas)
  const { endPosition, entities, shardCount } = await access.summary()
  const processes = await startAll(
    () => FoldProcess.start(dataDirectory, plantFile, USUAL_PLACE),
    () => FoldProcess.start(dataDirectory, plantFile, OTHER_PLACE),
  )
  const check = new CodeCheck(options, types, endPosition, processes)
  const passCount = Math.max(1, Math.ceil(entities / ENTITIES_PER_PASS))
  const startedMs = performance.now()
  try {
    for (let pass = 0; pass < passCount; pass++) {
      const shards = Array.from({ length: shardCount }, (_, shard) => shard).filter((shard) => shard % passCount === pass)
      await check.pass(shards, (done, total) => onProgress?.(pass * total + done, passCount * total))
    }
  } finally {
    await Promise.all(processes.map((one) => one.close()))
  }
  const seconds = (performance.now() - startedMs) / 1000
  if (options.entity !== undefined && check.counts.entities === 0 && check.folds.isSame) throw notFound(options.entity)
  const problems = await describeProblems(check.folds, { access, dataDirectory, plantFile, types, endPosition })
  return {
    ok: problems.length === 0,
    ...check.counts,
    endPosition,
    conditions: CONDITIONS,
    eventsPerSecond: Math.round(check.counts.events / seconds),
    problems,
  }
}

/** One walk through the log after the other, each with other shards. */
class CodeCheck {
  readonly folds: TwoFolds
  readonly counts: FoldCounts = { events: 0, entities: 0, passedOver: 0, fenced: 0, snapshots: 0, snapshotsPassedOver: 0 }
  readonly #options: CodeCheckOptions
  readonly #types: string
  readonly #endPosition: number
  readonly #processes: readonly [usual: FoldProcess, other: FoldProcess]

  constructor(
    options: CodeCheckOptions,
    types: readonly EventType[],
    endPosition: number,
    processes: readonly [usual: FoldProcess, other: FoldProcess],
  ) {
    this.#options = options
    this.#types = packExact(types)
    this.#endPosition = endPosition
    this.#processes = processes
    this.folds = new TwoFolds(types)
  }

  async pass(shards: readonly number[], onProgress: (done: number, total: number) => void): Promise<void> {
    if (this.#endPosition === 0) return
    const [usual, other] = this.#processes
    const { entity, access } = this.#options
    const begin = { types: this.#types, entity, shards, isThorough: false, to: this.#endPosition } satisfies Partial<FoldBegin>
    await Promise.all([
      usual.begin({ ...begin, copies: [], isComparing: true }),
      other.begin({ ...begin, copies: ['order and snapshot'], isComparing: false }),
    ])
    this.folds.begin(new Set(shards))
    for await (const states of snapshotTexts(access.socket, { shards, entity })) {
      const [faults] = await Promise.all([usual.keep(states), other.keep(states)])
      this.folds.takeFaults(faults, faults)
    }
    const query: ExportQuery = { ...(entity === undefined ? {} : { entity }), receipts: true, to: this.#endPosition - 1 }
    const onTheWay: Promise<void>[] = []
    let log: BlocksBegin | undefined
    let done = 0
    for await (const item of readBlocks(access.socket, query)) {
      if (item.kind === 'begin') log = item.begin
      else if (item.kind === 'names') await this.#names(item)
      else {
        if (onTheWay.length >= BLOCKS_AHEAD) await onTheWay.shift()
        const block = this.#block(item).then(() => onProgress((done += item.entry.rowCount), log?.rowCount ?? 0))
        // What it threw is thrown where it is waited for.
        block.catch(() => undefined)
        onTheWay.push(block)
      }
    }
    for (const block of onTheWay) await block
    const [one, two] = await Promise.all([usual.finish(), other.finish()])
    this.folds.takeFinish(one, two)
    for (const name of Object.keys(this.counts) as (keyof FoldCounts)[]) this.counts[name] += one.counts[name]
  }

  async #names(item: Extract<BlocksItem, { kind: 'names' }>): Promise<void> {
    const { shard, first, names } = item
    this.folds.learn(shard, first, names)
    await Promise.all(this.#processes.map((one) => one.names(shard, first, names)))
  }

  async #block({ bytes, entry }: Extract<BlocksItem, { kind: 'block' }>): Promise<void> {
    const [usual, other] = this.#processes
    const pieces = piecesOf(bytes)
    const [one, two] = await Promise.all([usual.block(pieces, entry.segment), other.block(pieces, entry.segment)])
    this.folds.takeBlock(bytes, entry.segment, one, two)
  }
}

/** Both, or none when one does not start. */
async function startAll(
  ...starts: readonly [() => Promise<FoldProcess>, () => Promise<FoldProcess>]
): Promise<readonly [FoldProcess, FoldProcess]> {
  const [one, two] = await Promise.allSettled([starts[0](), starts[1]()])
  if (one.status === 'fulfilled' && two.status === 'fulfilled') return [one.value, two.value]
  for (const started of [one, two]) if (started.status === 'fulfilled') await started.value.close()
  throw one.status === 'rejected' ? one.reason : (two as PromiseRejectedResult).reason
}

function notFound(entity: string): MillraceError {
  return new MillraceError('ERR_NOT_FOUND', {
    fact: 'the log has no events of such an entity that this plant knows',
    action: 'operator',
    values: { entity },
    next: 'name an entity such as press/press-1, or a pattern such as press/*',
  })
}
