import { existsSync } from 'node:fs'

/** Events that repair gave up or would give up, of a block that was not sealed or of a sealed file. Plain data. */
export interface GoneRows {
  readonly segment: string
  /** Positions from `firstPosition` on, up to the one before `endPosition`. */
  readonly firstPosition: number
  readonly endPosition: number
  readonly entities: readonly GoneVersions[]
  /** Entities that may have had rows here as well, which nobody can tell: they go on as of the row before. */
  readonly undecided?: readonly string[]
  /** Of a sealed file, where rows of many blocks stand together: first and last of each stretch of positions, instead of all from the first on. */
  readonly positions?: readonly (readonly [number, number])[]
}

/** Versions from `from` up to and including `to`. */
export interface GoneVersions {
  readonly entity: string
  readonly from: number
  readonly to: number
}

/** Where something damaged can be kept. */
export function freeName(path: string): string {
  for (let count = 1; ; count++) if (!existsSync(`${path}-${count}`)) return `${path}-${count}`
}
