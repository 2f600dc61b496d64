import type { Prng } from '#base/prng.js'

/** A file of bytes. What was not synced is in the memory of the machine only. */
export class DiskFile {
  bytes: Uint8Array
  synced: Uint8Array

  constructor(bytes: Uint8Array = new Uint8Array(0), synced: Uint8Array = new Uint8Array(0)) {
    this.bytes = bytes
    this.synced = synced
  }

  sync(): void {
    this.synced = this.bytes
  }

  /** Keeps the old bytes, the new ones, or a new beginning before the old rest. */
  losePower(random: Prng): void {
    if (this.bytes === this.synced) return
    const die = random.below(3)
    if (die === 0) this.bytes = this.synced
    else if (die === 1) this.bytes = torn(this.bytes, this.synced, random.below(this.bytes.length + 1))
    this.synced = this.bytes
  }

  clone(): DiskFile {
    const synced = new Uint8Array(this.synced)
    return new DiskFile(this.bytes === this.synced ? synced : new Uint8Array(this.bytes), synced)
  }
}

export interface StoredValue {
  readonly key: Uint8Array
  readonly value: Uint8Array
}

/** One change of an environment; without a value the key goes. */
export interface Change {
  readonly key: Uint8Array
  readonly value: Uint8Array | undefined
}

/**
 * The data file of an LMDB environment, as far as it differs from bytes: what transactions have made visible, in which order, and which of them are
 * not synced. Pages of a transaction that is not visible yet are in nobody's way, torn or not: LMDB writes only to pages that nothing visible needs.
 */
export class EnvironmentFile {
  readonly values = new Map<string, StoredValue>()
  /** Of the visible and unsynced transactions, the oldest first: what was under its key before. */
  #undo: { readonly name: string; readonly before: StoredValue | undefined }[] = []

  /** A transaction's meta page is written: whoever looks sees it. */
  show({ key, value }: Change): void {
    const name = nameOf(key)
    this.#undo.push({ name, before: this.values.get(name) })
    this.#set(name, value === undefined ? undefined : { key, value })
  }

  sync(): void {
    this.#undo = []
  }

  /** Keeps the first of the unsynced transactions. */
  losePower(random: Prng): void {
    const keep = random.below(this.#undo.length + 1)
    while (this.#undo.length > keep) {
      const { name, before } = this.#undo.pop() as { name: string; before: StoredValue | undefined }
      this.#set(name, before)
    }
    this.sync()
  }

  clone(): EnvironmentFile {
    const copy = new EnvironmentFile()
    for (const [name, value] of this.values) copy.values.set(name, value)
    return copy
  }

  #set(name: string, value: StoredValue | undefined): void {
    if (value === undefined) this.values.delete(name)
    else this.values.set(name, value)
  }
}

/** Sorts as the bytes do. */
export function nameOf(key: Uint8Array): string {
  return Buffer.from(key.buffer, key.byteOffset, key.length).toString('latin1')
}

type Node = DiskFile | EnvironmentFile | DiskDirectory

/** What was done to a directory at once: a name, or the two of a rename, and what lies there then. */
type Rename = readonly { readonly name: string; readonly node: Node | undefined }[]

/** Names become durable in the order in which they were made, when their directory is synced or when the power is lost a little later. */
export class DiskDirectory {
  readonly entries = new Map<string, Node>()
  #synced = new Map<string, Node>()
  #unsynced: Rename[] = []

  change(changes: Rename): void {
    apply(this.entries, changes)
    this.#unsynced.push(changes)
  }

  sync(): void {
    this.#synced = new Map(this.entries)
    this.#unsynced = []
  }

  losePower(random: Prng): void {
    if (this.#unsynced.length > 0) {
      const kept = this.#unsynced.slice(0, random.below(this.#unsynced.length + 1))
      this.entries.clear()
      for (const [name, node] of this.#synced) this.entries.set(name, node)
      for (const changes of kept) apply(this.entries, changes)
      this.sync()
    }
    for (const node of this.entries.values()) node.losePower(random)
  }

  clone(): DiskDirectory {
    const copy = new DiskDirectory()
    for (const [name, node] of this.entries) copy.entries.set(name, node.clone())
    copy.sync()
    return copy
  }
}

/**
 * A disk in memory: a tree of directories and files, each with what is durable and what only the page cache has. A process that dies leaves the page
 * cache behind, a power loss does not.
 */
export class SimulatedDisk {
  readonly root: DiskDirectory
  freeBytes = 2 ** 40

  constructor(root = new DiskDirectory()) {
    this.root = root
  }

  /** Of a disk on which everything is synced. */
  clone(): SimulatedDisk {
    return new SimulatedDisk(this.root.clone())
  }

  losePower(random: Prng): void {
    this.root.losePower(random)
  }

  find(path: string): Node | undefined {
    let node: Node | undefined = this.root
    for (const name of path.split('/')) {
      if (name === '') continue
      node = node instanceof DiskDirectory ? node.entries.get(name) : undefined
    }
    return node
  }
}

function apply(entries: Map<string, Node>, changes: Rename): void {
  for (const { name, node } of changes) {
    if (node === undefined) entries.delete(name)
    else entries.set(name, node)
  }
}

function torn(bytes: Uint8Array, before: Uint8Array, length: number): Uint8Array {
  const mixed = new Uint8Array(Math.max(length, Math.min(before.length, bytes.length)))
  mixed.set(before.subarray(0, mixed.length))
  mixed.set(bytes.subarray(0, length))
  return mixed
}
