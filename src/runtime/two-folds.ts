import type { EntityId } from '#base/ids.js'
import { BlockReplay, type EventType } from '#journal/index.js'
import { type FoldFault, walkRows } from './check-fold.js'
import type { BlockAnswer, FinishAnswer } from './fold-service.js'

/** The first event of an entity type, by position, behind which two folds differ. */
export interface FirstDifference {
  readonly type: string
  readonly entity: EntityId
  readonly version: number
  readonly position: number
  /** How many entities of the type differ somewhere. */
  readonly entities: number
}

/** A fault that both folds have, the first of its kind and entity type by position. */
export interface FirstFault extends FoldFault {
  readonly type: string
  readonly entities: number
}

interface Difference {
  entity: EntityId
  version: number
  position: number
  readonly entities: Set<EntityId>
}

/**
 * Holds the answers of two folds of the same blocks against each other. States are never seen here: where the digests of a block differ, the block is decoded to see whose
 * rows they are.
 */
export class TwoFolds {
  readonly #types: readonly EventType[]
  readonly #names: EntityId[][] = []
  readonly #differences = new Map<string, Difference>()
  readonly #faults = new Map<string, { fault: FoldFault; readonly entities: Set<EntityId> }>()
  #shards: ReadonlySet<number> | undefined

  constructor(types: readonly EventType[]) {
    this.#types = types
  }

  get isSame(): boolean {
    return this.#differences.size === 0 && this.#faults.size === 0
  }

  get differences(): readonly FirstDifference[] {
    return [...this.#differences].map(([type, { entities, ...first }]) => ({ type, ...first, entities: entities.size }))
  }

  get faults(): readonly FirstFault[] {
    return [...this.#faults.values()].map(({ fault, entities }) => ({ ...fault, type: typeOf(fault.entity), entities: entities.size }))
  }

  /** What comes now is of these shards. */
  begin(shards: ReadonlySet<number> | undefined): void {
    this.#shards = shards
  }

  learn(shard: number, first: number, names: readonly EntityId[]): void {
    const known = (this.#names[shard] ??= [])
    for (const [index, name] of names.entries()) known[first + index] = name
  }

  takeBlock(bytes: Uint8Array, segment: string, one: BlockAnswer, two: BlockAnswer): void {
    const single = this.takeFaults(one.faults, two.faults)
    if (one.digests === two.digests && single.length === 0) return
    const [first, second] = [digestsOf(one), digestsOf(two)]
    const ofOne = new Set(single.map(({ entity, version }) => `${version} ${entity}`))
    const replay = new BlockReplay(bytes, this.#types, segment)
    walkRows(replay, this.#shards, (row, index) => {
      const entity = this.#names[row.shard]?.[row.entityNumber]
      if (entity === undefined) return
      const isDifferent = first[index] !== second[index] || (ofOne.size > 0 && ofOne.has(`${row.version} ${entity}`))
      if (isDifferent) this.#differ(entity, row.version, row.position)
    })
  }

  takeFinish(one: FinishAnswer, two: FinishAnswer): void {
    const single = this.takeFaults(one.faults, two.faults)
    for (const { entity, version, position } of single) this.#differ(entity, version, position)
    const digests = new Map(two.late.map(([entity, version, digest]) => [entity, `${version} ${digest}`]))
    for (const [entity, version, digest] of one.late) {
      if (digests.get(entity) !== `${version} ${digest}`) this.#differ(entity, version, Number.MAX_SAFE_INTEGER)
    }
  }

  /** Takes those that both have, and those of snapshots; answers the others, which are differences. */
  takeFaults(one: readonly FoldFault[], two: readonly FoldFault[]): readonly FoldFault[] {
    const keyOf = ({ kind, entity, version }: FoldFault): string => `${kind} ${version} ${entity}`
    const ofBoth = new Set(two.map(keyOf))
    const single: FoldFault[] = []
    for (const fault of one) {
      if (isOfSnapshot(fault) || ofBoth.delete(keyOf(fault))) this.#takeFault(fault)
      else single.push(fault)
    }
    return [...single, ...two.filter((fault) => ofBoth.has(keyOf(fault)))]
  }

  #takeFault(fault: FoldFault): void {
    const key = `${fault.kind} ${typeOf(fault.entity)}`
    const known = this.#faults.get(key)
    if (known === undefined) {
      this.#faults.set(key, { fault, entities: new Set([fault.entity]) })
      return
    }
    known.entities.add(fault.entity)
    if (fault.position < known.fault.position) known.fault = fault
  }

  #differ(entity: EntityId, version: number, position: number): void {
    const type = typeOf(entity)
    const known = this.#differences.get(type)
    if (known === undefined) {
      this.#differences.set(type, { entity, version, position, entities: new Set([entity]) })
      return
    }
    known.entities.add(entity)
    if (position < known.position) Object.assign(known, { entity, version, position })
  }
}

/** Only one of the two looks at snapshots. */
function isOfSnapshot({ kind }: FoldFault): boolean {
  return kind === 'snapshot' || kind === 'snapshot-damaged'
}

export function digestsOf({ digests }: BlockAnswer): Uint32Array {
  const bytes = Buffer.from(digests, 'base64')
  return new Uint32Array(new Uint8Array(bytes).buffer)
}

function typeOf(entity: EntityId): string {
  return entity.slice(0, entity.indexOf('/'))
}
