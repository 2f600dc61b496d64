import { ChangedWorld, type World } from '#entity/changed-world.js'
import { PlantModel } from '#entity/index.js'
import type { EventType } from '#journal/index.js'
import type { EntityId } from '#base/ids.js'
import type { ControlMethod } from '#processes/control-socket.js'
import { CheckFold, type CheckFoldOptions, type CopyDifference, type FoldCounts, type FoldFault } from './check-fold.js'
import { unpackExact } from './exact-pack.js'
import { importPlant } from './plant-module.js'
import { entityTest, type KeptState } from './snapshot-service.js'

/** What a process that folds is told before it loads the plant. */
export interface FoldArgument {
  readonly socket: string
  readonly plantFile: string
  readonly world: World
}

/** What one fold is of. `types` as exact-pack.ts has them. */
export interface FoldBegin extends Pick<CheckFoldOptions, 'copies' | 'isThorough' | 'isComparing' | 'to'> {
  readonly types: string
  /** As `--entity` has it: an id or a pattern. */
  readonly entity?: string | undefined
  readonly shards?: readonly number[] | undefined
}

/** Digests as bytes in base64, four a row. */
export interface BlockAnswer {
  readonly digests: string
  readonly faults: readonly FoldFault[]
}

/** Where the one entity of a thorough fold differs from its own copies; bytes in base64, or what was thrown. */
export type CopyAnswer = Pick<CopyDifference, 'copy' | 'version'> & ({ readonly state: string } | { readonly thrown: string })

export interface FinishAnswer {
  readonly late: readonly (readonly [entity: EntityId, version: number, digest: number])[]
  readonly faults: readonly FoldFault[]
  readonly counts: FoldCounts
}

/** What a process that folds answers to `code check`. The clocks and random numbers are changed before the plant is loaded, and for good. */
export async function foldMethods({ plantFile, world: wanted }: FoldArgument): Promise<Readonly<Record<string, ControlMethod>>> {
  const world = new ChangedWorld(wanted)
  const plant = new PlantModel((await world.whileLoading(() => importPlant(plantFile))).entities)
  let fold: CheckFold | undefined
  let pieces: Buffer[] = []
  const current = (): CheckFold => {
    if (fold === undefined) throw new Error('nothing was begun')
    return fold
  }
  return {
    begin(args: unknown) {
      const { types, entity, shards, ...begin } = args as FoldBegin
      fold = new CheckFold({
        ...begin,
        plant,
        world,
        types: unpackExact<readonly EventType[]>(types),
        wants: entityTest(entity),
        shards: shards === undefined ? undefined : new Set(shards),
      })
      pieces = []
    },
    names(args: unknown) {
      const { shard, first, names } = args as { shard: number; first: number; names: readonly EntityId[] }
      current().learn(shard, first, names)
    },
    keep: (args: unknown) => current().keep(unpackExact<readonly KeptState[]>(args as string)),
    initial: (type: unknown) => base64(current().initial(type as string)),
    piece(piece: unknown) {
      pieces.push(Buffer.from(piece as string, 'base64'))
    },
    block(args: unknown): BlockAnswer {
      const { piece, segment } = args as { piece: string; segment: string }
      const bytes = Buffer.concat([...pieces.splice(0), Buffer.from(piece, 'base64')])
      const { digests, faults } = current().block(bytes, segment)
      return { digests: base64(new Uint8Array(digests.buffer)) as string, faults }
    },
    finish(): FinishAnswer {
      const { late, faults } = current().finish()
      return { late, faults, counts: current().counts }
    },
    stateAt: (version: unknown) => base64(current().stateAt(version as number)),
    copies: (): readonly CopyAnswer[] =>
      current().copyDifferences.map(({ copy, version, got }) =>
        typeof got === 'string' ? { copy, version, thrown: got } : { copy, version, state: base64(got) as string },
      ),
  }
}

function base64(bytes: Uint8Array | undefined): string | null {
  return bytes === undefined ? null : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('base64')
}
