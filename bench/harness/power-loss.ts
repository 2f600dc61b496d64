import { mkdirSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { assert } from '#base/assert.js'
import type { Prng } from '#base/prng.js'
import type { DiskEntry } from './recorded-disk.js'

/**
 * What a disk may hold after the power went at some moment of a record. Assumed of it:
 *   - what a sync that returned covered is there: of a file the bytes written before the sync began, of a directory the names made, changed or
 *     removed before it began. A write through a synchronous descriptor that returned is there, and makes nothing else durable;
 *   - of every other write any sectors of 512 bytes may be there or not, whatever came before or after it: a sector is old or new, never mixed;
 *   - a file may be as long as its writes made it, with zeros where these never arrived, or shorter;
 *   - names in one directory that were not synced change in order: some first ones of them are there. Between directories nothing is ordered,
 *     and syncing a file does not make its name durable;
 *   - what was durable stays as it is. Disks that break this promise are what checksums are for (damage.ts).
 * Files that are mapped (lock.mdb) are not in the record: they come out missing, empty or full of noise.
 */
const SECTOR_BYTES = 512

type WriteEntry = Extract<DiskEntry, { kind: 'write' }>

interface FileState {
  bytes: Buffer
  length: number
}

type NameChange =
  | { readonly kind: 'add'; readonly name: string; readonly inode: bigint }
  | { readonly kind: 'move'; readonly name: string; readonly to: string }
  | { readonly kind: 'remove'; readonly name: string }

/** Writes into an existing empty directory what the disk may hold when the power goes right before entry `moment`. */
export function writePowerLossImage(entries: readonly DiskEntry[], rootInode: bigint, moment: number, prng: Prng, into: string): void {
  const syncedUpTo = lastSyncs(entries, moment)
  const durableWrites = new Set<bigint>()
  for (let index = 0; index < moment; index++) {
    const entry = entries[index] as DiskEntry
    if (entry.kind === 'write-durable') durableWrites.add(entry.id)
  }
  const files = new Map<bigint, FileState>()
  // One mood per image: from next to nothing to nearly everything arrives.
  const share = prng.pick([0, 0.02, 0.3, 0.7, 0.98, 1])
  for (let index = 0; index < moment; index++) {
    const entry = entries[index] as DiskEntry
    if (entry.kind === 'create') files.set(entry.inode, { bytes: Buffer.alloc(0), length: 0 })
    else if (entry.kind === 'resize') {
      if (index < (syncedUpTo.get(entry.inode) ?? 0) || prng.next() < share) resize(files.get(entry.inode) as FileState, entry.bytes)
    } else if (entry.kind === 'write') {
      const file = files.get(entry.inode) as FileState
      const isDurable = index < (syncedUpTo.get(entry.inode) ?? 0) || durableWrites.has(entry.id)
      if (isDurable) writeSectors(file, entry, () => true)
      else {
        const ofThis = prng.pick([0, share, 1])
        writeSectors(file, entry, () => prng.next() < ofThis)
        if (prng.next() < 0.3) resize(file, Math.max(file.length, entry.offset + entry.data.length))
      }
    }
  }
  const names = namesAt(entries, rootInode, moment, syncedUpTo, prng)
  for (const [path, inode] of reachable(names, rootInode)) {
    const target = join(into, path)
    const file = files.get(inode)
    if (file === undefined) mkdirSync(target, { recursive: true, mode: 0o700 })
    else {
      mkdirSync(dirname(target), { recursive: true, mode: 0o700 })
      const bytes = path.endsWith('lock.mdb') ? noise(file.length, prng) : file.bytes.subarray(0, file.length)
      if (bytes !== undefined) writeFileSync(target, bytes, { mode: 0o600 })
    }
  }
}

/** By inode: the index of the last sync's beginning that had returned before the moment. */
function lastSyncs(entries: readonly DiskEntry[], moment: number): Map<bigint, number> {
  const begun = new Map<bigint, { readonly inode: bigint; readonly index: number }>()
  const synced = new Map<bigint, number>()
  for (let index = 0; index < moment; index++) {
    const entry = entries[index] as DiskEntry
    if (entry.kind === 'sync-begin') begun.set(entry.id, { inode: entry.inode, index })
    else if (entry.kind === 'sync-end') {
      const sync = begun.get(entry.id)
      assert(sync !== undefined, 'a sync that returned has begun')
      synced.set(sync.inode, Math.max(synced.get(sync.inode) ?? 0, sync.index))
    }
  }
  return synced
}

function resize(file: FileState, length: number): void {
  if (length > file.bytes.length) {
    const grown = Buffer.alloc(Math.max(length, file.bytes.length * 2))
    file.bytes.copy(grown)
    file.bytes = grown
  }
  if (length < file.length) file.bytes.fill(0, length, file.length)
  file.length = length
}

function writeSectors(file: FileState, { offset, data }: WriteEntry, arrives: () => boolean): void {
  const end = offset + data.length
  for (let at = offset; at < end; ) {
    const next = Math.min(end, at - (at % SECTOR_BYTES) + SECTOR_BYTES)
    if (arrives()) {
      if (next > file.length) resize(file, next)
      data.copy(file.bytes, at, at - offset, next - offset)
    }
    at = next
  }
}

/** By directory: the names in it. A directory's inode is known from when it was made. */
function namesAt(
  entries: readonly DiskEntry[],
  rootInode: bigint,
  moment: number,
  syncedUpTo: ReadonlyMap<bigint, number>,
  prng: Prng,
): Map<bigint, Map<string, bigint>> {
  /** As the process saw it, to know which directory a path names. */
  const seen = new Map<bigint, Map<string, bigint>>([[rootInode, new Map()]])
  const changes = new Map<bigint, { readonly index: number; readonly change: NameChange }[]>()
  const note = (parent: bigint, index: number, change: NameChange) => {
    const own = changes.get(parent) ?? []
    own.push({ index, change })
    changes.set(parent, own)
    apply(seen.get(parent) as Map<string, bigint>, change)
  }
  for (let index = 0; index < moment; index++) {
    const entry = entries[index] as DiskEntry
    if (entry.kind === 'create' || entry.kind === 'make-directory') {
      const { parent, name } = place(seen, rootInode, entry.name)
      if (entry.kind === 'make-directory') seen.set(entry.inode, new Map())
      note(parent, index, { kind: 'add', name, inode: entry.inode })
    } else if (entry.kind === 'unlink') {
      const { parent, name } = place(seen, rootInode, entry.name)
      note(parent, index, { kind: 'remove', name })
    } else if (entry.kind === 'rename') {
      const from = place(seen, rootInode, entry.name)
      const to = place(seen, rootInode, entry.to)
      assert(from.parent === to.parent, 'the journal renames within a directory')
      note(from.parent, index, { kind: 'move', name: from.name, to: to.name })
    }
  }
  const names = new Map<bigint, Map<string, bigint>>()
  for (const [parent, own] of changes) {
    const durable = own.filter(({ index }) => index < (syncedUpTo.get(parent) ?? 0)).length
    const kept = durable + prng.below(own.length - durable + 1)
    const inDirectory = new Map<string, bigint>()
    for (const { change } of own.slice(0, kept)) apply(inDirectory, change)
    names.set(parent, inDirectory)
  }
  return names
}

function apply(names: Map<string, bigint>, change: NameChange): void {
  if (change.kind === 'add') names.set(change.name, change.inode)
  else if (change.kind === 'remove') names.delete(change.name)
  else {
    const inode = names.get(change.name)
    assert(inode !== undefined, 'what is renamed is there')
    names.delete(change.name)
    names.set(change.to, inode)
  }
}

function place(seen: ReadonlyMap<bigint, ReadonlyMap<string, bigint>>, rootInode: bigint, path: string): { parent: bigint; name: string } {
  const parts = path.split('/')
  const name = parts.pop() as string
  let parent = rootInode
  for (const part of parts) {
    const next = seen.get(parent)?.get(part)
    assert(next !== undefined, 'a path leads through directories that are there')
    parent = next
  }
  return { parent, name }
}

function* reachable(names: ReadonlyMap<bigint, ReadonlyMap<string, bigint>>, directory: bigint, path = ''): Generator<[string, bigint]> {
  for (const [name, inode] of names.get(directory) ?? []) {
    const own = path === '' ? name : `${path}/${name}`
    yield [own, inode]
    yield* reachable(names, inode, own)
  }
}

function noise(bytes: number, prng: Prng): Buffer | undefined {
  const kind = prng.below(3)
  if (kind === 0) return undefined
  const filled = Buffer.alloc(bytes)
  if (kind === 2) for (let at = 0; at < bytes; at++) filled[at] = prng.below(256)
  return filled
}
