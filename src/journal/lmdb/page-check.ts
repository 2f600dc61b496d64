import { closeSync, fstatSync, openSync, readSync } from 'node:fs'

/**
 * Walks the pages of an LMDB file as plain bytes, before LMDB maps it: LMDB trusts every byte of them, so that one flipped bit can kill the process or lose
 * rows without a word. Values are not looked at, they have checksums of their own.
 *
 *   page     0 u64 number   8 u64 transaction   18 u16 flags   20 u16 lower, 22 u16 upper (or 20 u32 pages, of an overflow page)   24 content
 *   meta    24 u32 magic   28 u32 version   32 u64 address   40 u64 map bytes   48 free list   96 keys   144 u64 last page   152 u64 transaction
 *   tree     0 u32 page bytes (free list only)   4 u16 flags   6 u16 depth   8 u64 branch pages   16 u64 leaf pages   24 u64 overflow pages
 *           32 u64 entries   40 u64 root, or -1
 *   node     0 u32 bytes of the value, or lower half of a child's page number   4 u16 flags, or its upper half   6 u16 bytes of the key   8 key, then value
 *   large    a value on pages of its own: 0 u64 first page   8 u64 transaction   16 u64 pages
 *
 * Page numbers in the free list come one by one, or as a negative length with the first page behind it; zeros are gaps.
 */
const MAGIC = 0xbeefc0de
const VERSION = 2
const HEADER_BYTES = 24
const NODE_BYTES = 8
const META_BYTES = 144
const LARGE_BYTES = 24
const BRANCH = 1
const LEAF = 2
const OVERFLOW = 4
const META = 8
const LARGE = 1
const FREE_TREE = 48
const KEY_TREE = 96
const FREE_TREE_FLAGS = 8
const KEY_TREE_FLAGS = 0
const NO_ROOT_BITS = 0xffffffffffffffffn
const NO_ROOT = -1
const PAGE_BYTES_MAX = 65_536
const DEPTH_MAX = 32

/** A value in a file, found without LMDB: its key, and where it lies. */
export interface PlainValue {
  readonly key: Uint8Array
  readonly offset: number
  readonly bytes: number
}

export interface PageWalkResult {
  /** In words; undefined when nothing is. Pages that belong to nothing do no harm. */
  readonly wrong: string | undefined
  /** All values up to where something was wrong, in order of their keys. */
  readonly values: readonly PlainValue[]
  /** Number of the transaction that was looked at, or -1. */
  readonly transaction: number
}

/** Walks all pages of a file's newest state. Throws only what the file system throws. */
export function walkPages(file: string): PageWalkResult {
  const descriptor = openSync(file, 'r')
  try {
    for (let attempt = 1; ; attempt++) {
      const before = newestTransaction(descriptor)
      const walk = new PageWalk(descriptor)
      const wrong = walk.run()
      const { values, transaction } = walk
      // A writer that went on meanwhile has used pages anew.
      const isSettled = newestTransaction(descriptor) === before
      if (wrong === undefined || isSettled || attempt === ATTEMPTS) return { wrong, values, transaction }
    }
  } finally {
    closeSync(descriptor)
  }
}

/** The number of the newest transaction in a file, or -1 where its meta pages are not to be found. */
export function newestTransaction(descriptor: number): number {
  const meta = Buffer.alloc(HEADER_BYTES + META_BYTES)
  if (readSync(descriptor, meta, 0, meta.length, 0) < meta.length) return -1
  const first = number64(meta, 152)
  const pageBytes = meta.readUInt32LE(FREE_TREE)
  return readSync(descriptor, meta, 0, meta.length, pageBytes) < meta.length ? -1 : Math.max(first, number64(meta, 152))
}

class Wrong extends Error {}

interface Tree {
  readonly flags: number
  readonly depth: number
  readonly branchPages: number
  readonly leafPages: number
  readonly overflowPages: number
  readonly entries: number
  readonly root: number
}

interface Meta {
  readonly free: Tree
  readonly keys: Tree
  readonly lastPage: number
  readonly transaction: number
}

class PageWalk {
  readonly #descriptor: number
  readonly #fileBytes: number
  #pageBytes = 0
  #meta: Meta | undefined
  #owners = new Uint8Array(0)
  #branchPages = 0
  #leafPages = 0
  #overflowPages = 0
  #entries = 0
  readonly values: PlainValue[] = []

  constructor(descriptor: number) {
    this.#descriptor = descriptor
    this.#fileBytes = fstatSync(descriptor).size
  }

  get transaction(): number {
    return this.#meta?.transaction ?? -1
  }

  run(): string | undefined {
    try {
      const meta = (this.#meta = this.#metas())
      this.#owners = new Uint8Array(meta.lastPage + 1).fill(1, 0, 2)
      this.#walk(meta.free, 'the free list', compareNumbers, (value) => this.#takeFree(value))
      this.#walk(meta.keys, 'the index', compareBytes, undefined)
      return undefined
    } catch (error) {
      if (error instanceof Wrong) return error.message
      throw error
    }
  }

  #metas(): Meta {
    const first = this.#bytes(0, HEADER_BYTES + META_BYTES)
    const pageBytes = first.readUInt32LE(FREE_TREE)
    if (pageBytes < 512 || pageBytes > PAGE_BYTES_MAX || (pageBytes & (pageBytes - 1)) !== 0)
      throw new Wrong('its first page does not begin an LMDB file')
    this.#pageBytes = pageBytes
    const metas = [first, this.#bytes(pageBytes, HEADER_BYTES + META_BYTES)].map((bytes, page) => readMeta(bytes, page, pageBytes))
    const [even, odd] = metas as [Meta, Meta]
    const isFresh = even.transaction === 0 && odd.transaction === 0
    if (!isFresh && (even.transaction % 2 !== 0 || odd.transaction % 2 !== 1 || Math.abs(even.transaction - odd.transaction) !== 1))
      throw new Wrong(`its meta pages are of transactions ${even.transaction} and ${odd.transaction}, which do not follow each other`)
    const newest = even.transaction >= odd.transaction ? even : odd
    if (newest.lastPage < 1 || newest.lastPage > this.#fileBytes / pageBytes + UNWRITTEN_PAGES_MAX)
      throw new Wrong(`its last page is said to be ${newest.lastPage}`)
    return newest
  }

  #walk(tree: Tree, name: string, compare: (a: Buffer, b: Buffer) => number, take: ((value: Buffer) => void) | undefined): void {
    this.#branchPages = this.#leafPages = this.#overflowPages = this.#entries = 0
    if (tree.depth > DEPTH_MAX) throw new Wrong(`${name} is said to be ${tree.depth} pages deep`)
    if (tree.root !== NO_ROOT) this.#visit(tree.root, tree.depth, { name, compare, take }, undefined, undefined)
    else if (tree.depth !== 0) throw new Wrong(`${name} has no root`)
    const counted = {
      branchPages: this.#branchPages,
      leafPages: this.#leafPages,
      overflowPages: this.#overflowPages,
      entries: this.#entries,
    }
    for (const [what, count] of Object.entries(counted)) {
      const said = tree[what as keyof typeof counted]
      if (said !== count) throw new Wrong(`${name} has ${count} ${WORDS[what as keyof typeof counted]} where its meta page says ${said}`)
    }
  }

  #visit(page: number, depth: number, tree: WalkedTree, from: Buffer | undefined, to: Buffer | undefined): void {
    this.#own(page, 1, tree.name)
    const bytes = this.#bytes(page * this.#pageBytes, this.#pageBytes)
    const isLeaf = depth === 1
    const where = `page ${page} of ${tree.name}`
    if (number64(bytes, 0) !== page || bytes.readUInt16LE(18) !== (isLeaf ? LEAF : BRANCH))
      throw new Wrong(`${where} has the header of another`)
    if (number64(bytes, 8) > this.transaction) throw new Wrong(`${where} is of a transaction that never was`)
    const [lower, upper] = [bytes.readUInt16LE(20), bytes.readUInt16LE(22)]
    const room = this.#pageBytes - HEADER_BYTES
    if (lower % 2 !== 0 || lower > upper || upper > room) throw new Wrong(`${where} has impossible bounds`)
    const count = lower / 2
    if (count === 0 || (!isLeaf && count < 2)) throw new Wrong(`${where} is empty`)
    if (isLeaf) this.#leafPages++
    else this.#branchPages++
    let used = 0
    let before = from
    const children: { readonly page: number; readonly key: Buffer | undefined }[] = []
    for (let index = 0; index < count; index++) {
      const start = bytes.readUInt16LE(HEADER_BYTES + index * 2)
      if (start < upper || start + NODE_BYTES > room) throw new Wrong(`${where} has a node outside of it`)
      const node = bytes.subarray(HEADER_BYTES + start)
      const keyBytes = node.readUInt16LE(6)
      if (NODE_BYTES + keyBytes > node.length) throw new Wrong(`${where} has a key that is too long`)
      const key = node.subarray(NODE_BYTES, NODE_BYTES + keyBytes)
      const isFirstOfBranch = !isLeaf && index === 0
      if (!isFirstOfBranch) {
        const isBehind =
          before === undefined || (index === 0 || (!isLeaf && index === 1) ? tree.compare(before, key) <= 0 : tree.compare(before, key) < 0)
        if (keyBytes === 0 || !isBehind || (to !== undefined && tree.compare(key, to) >= 0))
          throw new Wrong(`${where} has keys out of order`)
        before = key
      }
      if (isLeaf) used += this.#leafNode(node, keyBytes, page * this.#pageBytes + HEADER_BYTES + start, where, tree)
      else {
        used += toEven(NODE_BYTES + keyBytes)
        children.push({ page: node.readUInt32LE(0) + node.readUInt16LE(4) * 2 ** 32, key: isFirstOfBranch ? from : key })
      }
    }
    if (used !== room - upper) throw new Wrong(`${where} has nodes that overlap`)
    children.forEach((child, index) => this.#visit(child.page, depth - 1, tree, child.key, children[index + 1]?.key ?? to))
  }

  /** Answers how many bytes of the page it takes. */
  #leafNode(node: Buffer, keyBytes: number, nodeOffset: number, where: string, { name, take }: WalkedTree): number {
    this.#entries++
    const flags = node.readUInt16LE(4)
    const valueBytes = node.readUInt32LE(0)
    const isLarge = flags === LARGE
    const bytes = NODE_BYTES + keyBytes + (isLarge ? LARGE_BYTES : valueBytes)
    if ((flags !== 0 && !isLarge) || bytes > node.length) throw new Wrong(`${where} has a value that is too long, or of an unknown kind`)
    let value = node.subarray(NODE_BYTES + keyBytes, bytes)
    let offset = nodeOffset + NODE_BYTES + keyBytes
    if (isLarge) {
      const [page, pages] = [number64(value, 0), number64(value, 16)]
      if (pages < Math.ceil((HEADER_BYTES + valueBytes) / this.#pageBytes)) throw new Wrong(`${where} has a large value with too few pages`)
      this.#own(page, pages, name)
      this.#overflowPages += pages
      const header = this.#bytes(page * this.#pageBytes, HEADER_BYTES)
      if (number64(header, 0) !== page || header.readUInt16LE(18) !== OVERFLOW || header.readUInt32LE(20) !== pages)
        throw new Wrong(`${where} has a large value on page ${page}, which has the header of another`)
      this.#bytes((page + pages) * this.#pageBytes - 1, 1)
      offset = page * this.#pageBytes + HEADER_BYTES
      if (take !== undefined) value = this.#bytes(offset, valueBytes)
    }
    if (take === undefined)
      this.values.push({ key: new Uint8Array(node.subarray(NODE_BYTES, NODE_BYTES + keyBytes)), offset, bytes: valueBytes })
    else take(value)
    return toEven(bytes)
  }

  #takeFree(list: Buffer): void {
    const count = list.length < 8 ? -1 : number64(list, 0)
    if (count < 0 || (count + 1) * 8 > list.length) throw new Wrong('the free list has an entry that is too short')
    for (let index = 1; index <= count; index++) {
      const entry = Number(list.readBigInt64LE(index * 8))
      if (entry > 0) this.#own(entry, 1, 'the free list')
      else if (entry < 0) {
        if (++index > count) throw new Wrong('the free list has an entry that is cut')
        this.#own(number64(list, index * 8), -entry, 'the free list')
      }
    }
  }

  #own(page: number, pages: number, name: string): void {
    if (page < 2 || pages < 1 || page + pages > this.#owners.length) throw new Wrong(`${name} leads to page ${page}, which there is not`)
    for (let one = page; one < page + pages; one++) {
      if (this.#owners[one] === 1) throw new Wrong(`page ${one} of ${name} is used twice`)
      this.#owners[one] = 1
    }
  }

  #bytes(offset: number, length: number): Buffer {
    const bytes = Buffer.allocUnsafeSlow(length)
    if (offset + length > this.#fileBytes || readSync(this.#descriptor, bytes, 0, length, offset) !== length)
      throw new Wrong(`it ends at byte ${this.#fileBytes}, before what it should have at byte ${offset}`)
    return bytes
  }
}

interface WalkedTree {
  readonly name: string
  readonly compare: (a: Buffer, b: Buffer) => number
  readonly take: ((value: Buffer) => void) | undefined
}

const WORDS = { branchPages: 'inner pages', leafPages: 'leaves', overflowPages: 'pages of large values', entries: 'entries' }
const ATTEMPTS = 10
/** LMDB gives free pages at the end of the file numbers before it writes them. */
const UNWRITTEN_PAGES_MAX = 1 << 20

function readMeta(bytes: Buffer, page: number, pageBytes: number): Meta {
  const free = readTree(bytes, FREE_TREE)
  const keys = readTree(bytes, KEY_TREE)
  const isMeta =
    number64(bytes, 0) === page &&
    bytes.readUInt16LE(18) === META &&
    bytes.readUInt32LE(24) === MAGIC &&
    bytes.readUInt32LE(28) === VERSION &&
    number64(bytes, 32) === 0 &&
    bytes.readUInt32LE(FREE_TREE) === pageBytes &&
    bytes.readUInt32LE(KEY_TREE) === 0 &&
    free.flags === FREE_TREE_FLAGS &&
    keys.flags === KEY_TREE_FLAGS
  if (!isMeta) throw new Wrong(`its page ${page} is not the meta page of a log`)
  return { free, keys, lastPage: number64(bytes, 144), transaction: number64(bytes, 152) }
}

function readTree(bytes: Buffer, at: number): Tree {
  const number = (offset: number) => number64(bytes, at + offset)
  return {
    flags: bytes.readUInt16LE(at + 4),
    depth: bytes.readUInt16LE(at + 6),
    branchPages: number(8),
    leafPages: number(16),
    overflowPages: number(24),
    entries: number(32),
    root: bytes.readBigUInt64LE(at + 40) === NO_ROOT_BITS ? NO_ROOT : Math.min(number(40), Number.MAX_SAFE_INTEGER),
  }
}

/** As a double: what is too large for one exactly is wrong in any place. */
function number64(bytes: Buffer, at: number): number {
  return Number(bytes.readBigUInt64LE(at))
}

function compareBytes(a: Buffer, b: Buffer): number {
  return Buffer.compare(a, b)
}

function compareNumbers(a: Buffer, b: Buffer): number {
  if (a.length !== 8 || b.length !== 8) throw new Wrong('the free list has a key that is no number')
  return number64(a, 0) - number64(b, 0)
}

function toEven(bytes: number): number {
  return bytes + (bytes % 2)
}
