import type { MillraceError } from '#base/errors.js'
import type { EntityId } from '#base/ids.js'
import type { BlockRange, EntityHead, EventType, Journal, ShardSnapshot, Snapshot } from '#journal/journal.js'
import { unlessDamaged } from '#journal/log-damage.js'

/** What a load reads of a journal. */
export type LoadSource = Pick<
  Journal,
  'endPosition' | 'eventTypes' | 'head' | 'heads' | 'entityName' | 'snapshot' | 'snapshots' | 'base' | 'blocks'
>

/** Damages told in one load: one bad disk can have thousands, which all say the same. */
const DAMAGES_MAX = 20

/** A journal as a load reads it that passes over what is damaged: the entities that it hits are known by the rows that they lack. */
export class ReadableParts implements LoadSource {
  /** What was passed over, in words. */
  readonly damages: string[] = []
  readonly #journal: LoadSource

  constructor(journal: LoadSource) {
    this.#journal = journal
  }

  get endPosition(): number {
    return this.#journal.endPosition
  }

  get eventTypes(): readonly EventType[] {
    return this.#journal.eventTypes
  }

  head(entity: EntityId): EntityHead | undefined {
    return this.#journal.head(entity)
  }

  heads(shard: number): Iterable<EntityHead> {
    return this.#journal.heads(shard)
  }

  entityName(shard: number, number: number): EntityId | undefined {
    return this.#journal.entityName(shard, number)
  }

  snapshot(entity: EntityId, versionMax?: number): Snapshot | undefined {
    return unlessDamaged(() => this.#journal.snapshot(entity, versionMax), this.#tell)
  }

  /** One by one: an iteration that has thrown is over. */
  *snapshots(shard: number): Generator<ShardSnapshot> {
    for (const { entity, number, version } of this.heads(shard)) {
      const snapshot = this.snapshot(entity)
      if (snapshot !== undefined) yield { ...snapshot, number, headVersion: version }
    }
  }

  base(entity: EntityId): Snapshot | undefined {
    return unlessDamaged(() => this.#journal.base(entity), this.#tell)
  }

  /** Of an entity those of its shard: where its rows are may be what cannot be read. */
  blocks({ from, entity, shards }: BlockRange): AsyncIterable<Uint8Array> {
    const head = entity === undefined ? undefined : this.head(entity)
    const wanted = head === undefined ? shards : new Set([head.shard])
    return this.#journal.blocks({ from, ...(wanted === undefined ? {} : { shards: wanted }), onDamaged: this.#tell })
  }

  readonly #tell = (damage: MillraceError): void => {
    if (this.damages.length < DAMAGES_MAX && !this.damages.includes(damage.message)) this.damages.push(damage.message)
  }
}
