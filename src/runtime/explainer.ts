import type { EntityId } from '#base/ids.js'
import { decodeSnapshot, encodeCanonical, PlantModel } from '#entity/index.js'
import { BlockReplay, type EventType } from '#journal/index.js'
import { readBlocks } from './block-service.js'
import { type CopyKind, type FoldFault, walkRows } from './check-fold.js'
import { packExact } from './exact-pack.js'
import { causesOf, type Condition, CONDITIONS, COPIES, OTHER_PLACE, PLACES, USUAL_PLACE } from './fold-conditions.js'
import { FoldProcess, piecesOf } from './fold-process.js'
import type { BlockAnswer } from './fold-service.js'
import type { JournalAccess } from './journal-access.js'
import { importPlant } from './plant-module.js'
import type { KeptState } from './snapshot-service.js'
import { digestsOf } from './two-folds.js'

/** What a state depends on, seen at one event. Canonical encodings; a text is what was thrown instead. */
export interface Explanation {
  readonly version: number
  /** `initial` before the first event. */
  readonly event: string | null
  /** Empty where only all conditions together make a difference. */
  readonly conditions: readonly Condition[]
  readonly expected: Uint8Array | string | undefined
  readonly got: Uint8Array | string | undefined
}

export interface ExplainerContext {
  readonly access: JournalAccess
  readonly dataDirectory: string
  readonly plantFile: string
  readonly types: readonly EventType[]
  readonly endPosition: number
}

const TOGETHER = 'together'
const USUAL = 'usual'
type Name = Condition | typeof TOGETHER | typeof USUAL

interface Found {
  readonly name: Exclude<Name, typeof USUAL>
  readonly version: number
  readonly expected: Uint8Array | string | undefined
  readonly got: Uint8Array | string | undefined
}

/** Folds single entities, looking after every event, in one process for each condition. */
export class Explainer {
  readonly #context: ExplainerContext
  readonly #processes = new Map<Name, FoldProcess>()

  constructor(context: ExplainerContext) {
    this.#context = context
  }

  /** At which of the entity's events up to this one its state begins to depend on what. */
  async explain({
    type,
    entity,
    version,
  }: {
    readonly type: string
    readonly entity: EntityId
    readonly version: number
  }): Promise<Explanation> {
    const places = Object.entries(PLACES) as [Condition, typeof USUAL_PLACE][]
    await this.#start([[USUAL, USUAL_PLACE], ...places, [TOGETHER, OTHER_PLACE]])
    const fold = new EntityFold(this.#context, entity, this.#processes)
    await fold.begin()
    const initial = await this.#initial(type)
    if (initial !== undefined) return initial
    let together: Found | undefined
    for await (const found of fold.differences(version)) {
      together ??= found.find(({ name }) => name === TOGETHER)
      const single = found.filter(({ name }) => name !== TOGETHER)
      if (single.length > 0) return fold.explanation(single)
    }
    return together === undefined
      ? { version, event: fold.eventAt(version), conditions: [], expected: undefined, got: undefined }
      : fold.explanation([together])
  }

  /** The canonical encoding of what the entity's events come to. */
  async stateAt(entity: EntityId, version: number): Promise<Uint8Array | undefined> {
    await this.#start([[USUAL, USUAL_PLACE]])
    const usual = this.#processes.get(USUAL) as FoldProcess
    const fold = new EntityFold(this.#context, entity, new Map([[USUAL, usual]]))
    await fold.begin()
    await fold.goTo(version)
    return usual.stateAt(version)
  }

  /** The canonical encoding of the state in a snapshot. */
  async snapshotAt(access: JournalAccess, entity: EntityId, version: number): Promise<Uint8Array | undefined> {
    const model = new PlantModel((await importPlant(this.#context.plantFile)).entities).model(entity.slice(0, entity.indexOf('/')))
    const snapshot = await access.snapshot(entity, version)
    if (model === undefined || snapshot?.version !== version) return undefined
    const decoded = decodeSnapshot(model, snapshot.bytes)
    return decoded.kind === 'ok' ? encodeCanonical(decoded.state) : undefined
  }

  async close(): Promise<void> {
    await Promise.all([...this.#processes.values()].map((one) => one.close()))
  }

  /** Two at a time: each is busy loading the plant. */
  async #start(places: readonly (readonly [Name, typeof USUAL_PLACE])[]): Promise<void> {
    const { dataDirectory, plantFile } = this.#context
    const missing = places.filter(([name]) => !this.#processes.has(name))
    const start = async ([name, place]: readonly [Name, typeof USUAL_PLACE]): Promise<void> => {
      this.#processes.set(name, await FoldProcess.start(dataDirectory, plantFile, place))
    }
    for (let index = 0; index < missing.length; index += 2) await Promise.all(missing.slice(index, index + 2).map(start))
  }

  async #initial(type: string): Promise<Explanation | undefined> {
    const states = new Map<Name, Uint8Array | undefined>()
    for (const [name, process] of this.#processes) states.set(name, await process.initial(type))
    const expected = states.get(USUAL)
    const different = [...states].filter(
      ([, state]) => expected !== undefined && state !== undefined && Buffer.compare(expected, state) !== 0,
    )
    const [first] = different
    if (first === undefined) return undefined
    const conditions = causesOf(CONDITIONS.filter((condition) => different.some(([name]) => name === condition)))
    return { version: 0, event: 'initial', conditions, expected, got: (different.find(([name]) => name === conditions[0]) ?? first)[1] }
  }
}

/** One entity, folded side by side in several processes. */
class EntityFold {
  readonly #context: ExplainerContext
  readonly #entity: EntityId
  readonly #processes: ReadonlyMap<Name, FoldProcess>
  #shard = 0
  #number = 0
  /** By version, of the latest block. */
  #events = new Map<number, string | undefined>()

  constructor(context: ExplainerContext, entity: EntityId, processes: ReadonlyMap<Name, FoldProcess>) {
    this.#context = context
    this.#entity = entity
    this.#processes = processes
  }

  async begin(): Promise<void> {
    const { types, endPosition } = this.#context
    const begin = { types: packExact(types), entity: this.#entity, isThorough: true, isComparing: false, to: endPosition }
    const copiesOf = (name: Name): readonly CopyKind[] => (name === USUAL ? COPIES : name === TOGETHER ? ['order and snapshot'] : [])
    await Promise.all([...this.#processes].map(([name, process]) => process.begin({ ...begin, copies: copiesOf(name) })))
  }

  /** What is found in each block, up to the one with this version. Ask about it before the next. */
  async *differences(versionMax: number): AsyncGenerator<readonly Found[]> {
    const { access, endPosition } = this.#context
    const processes = [...this.#processes.values()]
    const query = { entity: this.#entity, receipts: true, to: endPosition - 1 }
    for await (const item of readBlocks(access.socket, query)) {
      if (item.kind === 'names') {
        const { shard, first, names } = item
        this.#shard = shard
        this.#number = first
        const base = await access.base(this.#entity)
        const states: KeptState[] = base === undefined ? [] : [{ ...base, shard, number: first, isBase: true }]
        const packed = packExact(states)
        await Promise.all(processes.flatMap((process) => [process.names(shard, first, names), process.keep(packed)]))
      }
      if (item.kind !== 'block') continue
      const pieces = piecesOf(item.bytes)
      const { segment } = item.entry
      const answers = new Map<Name, BlockAnswer>(
        await Promise.all([...this.#processes].map(async ([name, process]) => [name, await process.block(pieces, segment)] as const)),
      )
      yield await this.#compare(new BlockReplay(item.bytes, this.#context.types, segment), answers)
      if ([...this.#events.keys()].some((version) => version >= versionMax)) return
    }
  }

  /** Folds up to the block with this version. */
  async goTo(version: number): Promise<void> {
    const steps = this.differences(version)
    while ((await steps.next()).done !== true) continue
  }

  eventAt(version: number): string | null {
    return this.#events.get(version) ?? null
  }

  /** Of differences in the latest block: the earliest, and all conditions that show there. */
  explanation(found: readonly Found[]): Explanation {
    const version = Math.min(...found.map((one) => one.version))
    const first = found.filter((one) => one.version === version)
    const conditions = causesOf(CONDITIONS.filter((condition) => first.some(({ name }) => name === condition)))
    const shown = first.find(({ name }) => name === conditions[0]) ?? first[0]
    return { version, event: this.eventAt(version), conditions, expected: shown?.expected, got: shown?.got }
  }

  async #compare(replay: BlockReplay, answers: ReadonlyMap<Name, BlockAnswer>): Promise<readonly Found[]> {
    const versions = this.#look(replay)
    const usual = answers.get(USUAL) as BlockAnswer
    const expectedDigests = digestsOf(usual)
    const found: Found[] = []
    for (const [name, answer] of answers) {
      const process = this.#processes.get(name) as FoldProcess
      for (const copy of await process.copies()) {
        if (!this.#events.has(copy.version)) continue
        const got = 'thrown' in copy ? copy.thrown : Buffer.from(copy.state, 'base64')
        const condition = copy.copy === 'order and snapshot' ? TOGETHER : copy.copy
        found.push({ name: condition, version: copy.version, expected: await process.stateAt(copy.version), got })
      }
      if (name === USUAL) continue
      const digests = digestsOf(answer)
      const different = [...versions].filter(([, index]) => digests[index] !== expectedDigests[index]).map(([version]) => version)
      const faults = [...usual.faults, ...answer.faults].filter((fault) => !isOfBoth(fault, usual, answer)).map((fault) => fault.version)
      const version = Math.min(...different, ...faults)
      if (Number.isFinite(version)) {
        found.push({ name, version, expected: await this.#shown(USUAL, usual, version), got: await this.#shown(name, answer, version) })
      }
    }
    return found
  }

  async #shown(name: Name, { faults }: BlockAnswer, version: number): Promise<Uint8Array | string | undefined> {
    const fault = faults.find((one) => one.version === version)
    return fault === undefined ? this.#processes.get(name)?.stateAt(version) : `it threw: ${fault.message}`
  }

  /** The entity's rows of the block: version and index. */
  #look(replay: BlockReplay): ReadonlyMap<number, number> {
    const versions = new Map<number, number>()
    this.#events = new Map()
    walkRows(replay, undefined, (row, index) => {
      if (row.shard !== this.#shard || row.entityNumber !== this.#number) return
      versions.set(row.version, index)
      this.#events.set(row.version, this.#context.types[row.typeNumber - 1]?.event)
    })
    return versions
  }
}

function isOfBoth(fault: FoldFault, one: BlockAnswer, two: BlockAnswer): boolean {
  const has = ({ faults }: BlockAnswer): boolean => faults.some(({ kind, version }) => kind === fault.kind && version === fault.version)
  return has(one) && has(two)
}
