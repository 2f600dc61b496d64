import { Kin, type LifecycleData, kinOfSnapshot } from '#entity/index.js'
import type { Row } from '#journal/index.js'
import { LIFECYCLE_EVENT } from '#schema/index.js'

/** An entity among its kin, as the log has it. */
export interface KinNode {
  /** `type/name`. */
  readonly entity: string
  /** `running`, `suspended` and `stopped` as it is itself; `starting`, `waiting`, `failed` and `stopping` as its parent has it beyond that. */
  readonly phase: string
  readonly incarnation: number
  /** How often its state was made that of the beginning again. */
  readonly restarts: number
  /** The newest error; null where there was none. `at`: microseconds since 1970. */
  readonly error: { readonly code: string; readonly message: string; readonly at: number } | null
  readonly watches: readonly string[]
  /** In the order in which they were spawned. */
  readonly children: readonly KinNode[]
}

interface Life {
  readonly kin: Kin
  /** Version up to which rows are folded. */
  version: number
  restarts: number
  error: KinNode['error']
}

/** Who has spawned whom, folded from the rows LIFECYCLE_EVENT of a log, those of each entity in order of version, and base snapshots before them. */
export class KinTree {
  readonly #lives = new Map<string, Life>()

  /** A snapshot that stands for rows that are gone, before any row of the entity. */
  takeBase(entity: string, version: number, bytes: Uint8Array): void {
    const kin = kinOfSnapshot(bytes)
    if (kin !== undefined) this.#lives.set(entity, { kin, version, restarts: 0, error: null })
  }

  take({ entity, version, event, data, at }: Row): void {
    if (event !== LIFECYCLE_EVENT) return
    const life = this.#lives.get(entity) ?? { kin: new Kin(), version: 0, restarts: 0, error: null }
    this.#lives.set(entity, life)
    if (version <= life.version) return
    const row = data as unknown as LifecycleData
    life.version = version
    life.kin.take(row)
    if (row.fresh === true) life.restarts++
    if (row.of === 'self' && row.what === 'errored') life.error = { code: row.code ?? '', message: row.message ?? '', at }
  }

  /** Those that are nobody's children and have kin, by id. */
  roots(): readonly KinNode[] {
    const children = new Set([...this.#lives.values()].flatMap(({ kin }) => [...kin.children.keys()]))
    const shown = new Set<string>()
    const all = [...this.#lives.keys()].sort()
    // Two that have spawned each other have nobody above: the first of them is shown so.
    return [...all.filter((entity) => !children.has(entity)), ...all].flatMap((entity) =>
      shown.has(entity) ? [] : [this.#node(entity, undefined, new Set(), shown)],
    )
  }

  /** `above`: nobody is shown below itself. */
  #node(entity: string, phase: string | undefined, above: ReadonlySet<string>, shown: Set<string>): KinNode {
    shown.add(entity)
    const life = this.#lives.get(entity)
    const { self, children, watched } = life?.kin ?? new Kin()
    const own = self?.phase ?? 'running'
    const inner = new Set([...above, entity])
    return {
      entity,
      phase: phase === undefined || phase === 'running' ? own : phase,
      incarnation: self?.incarnation ?? 0,
      restarts: life?.restarts ?? 0,
      error: life?.error ?? null,
      watches: [...(watched?.keys() ?? [])],
      children: [...children].flatMap(([child, link]) => (inner.has(child) ? [] : [this.#node(child, link.phase, inner, shown)])),
    }
  }
}
