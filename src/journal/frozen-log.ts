/** A log on disk as of one moment, for a copy of it. It stays readable until `release`, whatever is appended and sealed meanwhile; retention waits. */
export interface FrozenLog {
  /** What format.json says. */
  readonly format: string
  /** Rows from here up to and without `endPosition`, all of them durable. */
  readonly firstPosition: number
  readonly endPosition: number
  /** Sealed segments in force; the file is the copier's to read through `path`. */
  readonly sealed: readonly FrozenFile[]
  readonly unsealed: readonly FrozenSegment[]
  /** Records of the catalog as they are stored. What can be had again from the log and is damaged is left out. */
  catalog(): AsyncIterable<FrozenRecord>
  release(): void
}

export interface FrozenFile {
  readonly name: string
  readonly path: string
  readonly bytes: number
  /** SHA-256 of the file, hex. */
  readonly fileHash: string
}

/** Blocks that are not sealed yet, filed by base position. */
export interface FrozenSegment {
  readonly name: string
  readonly firstPosition: number
  readonly endPosition: number
  /** Below `endPosition`, unchecked but for what tells where the next one begins. Throws ERR_BLOCK_DAMAGED where a block is missing. */
  blocks(): AsyncIterable<FrozenRecord>
}

export interface FrozenRecord {
  readonly key: Uint8Array
  readonly value: Uint8Array
  /** What is wrong with it, if anything is. */
  readonly damage?: string
}
