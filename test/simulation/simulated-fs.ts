/**
 * Stands in for `node:fs` under the code that keeps the log and the terms, see hooks.ts. As much of it as that code uses, with the same errors.
 * There is one disk at a time.
 */
import { DiskDirectory, DiskFile, EnvironmentFile, SimulatedDisk } from './disk.js'

let disk = new SimulatedDisk()
const open = new Map<number, DiskFile | EnvironmentFile | DiskDirectory>()
let descriptors = 0
let lookups = 0

/** From now on everybody's files are those of `next`. */
export function useDisk(next: SimulatedDisk): void {
  disk = next
  open.clear()
}

export function existsSync(path: string): boolean {
  return disk.find(path) !== undefined
}

export function mkdirSync(path: string, options: { readonly recursive?: boolean } = {}): void {
  if (disk.find(path) !== undefined) {
    if (options.recursive === true) return
    throw failure('EEXIST', path)
  }
  const parent = dirnameOf(path)
  if (options.recursive === true && disk.find(parent) === undefined) mkdirSync(parent, options)
  directoryAt(parent).change([{ name: basenameOf(path), node: new DiskDirectory() }])
}

export function openSync(path: string, flags: string): number {
  let node = disk.find(path)
  if (flags === 'w') {
    if (node === undefined) directoryAt(dirnameOf(path)).change([{ name: basenameOf(path), node: (node = new DiskFile()) }])
    if (!(node instanceof DiskFile)) throw failure('EISDIR', path)
    node.bytes = new Uint8Array(0)
  }
  if (node === undefined) throw failure('ENOENT', path)
  open.set(++descriptors, node)
  return descriptors
}

export function closeSync(descriptor: number): void {
  open.delete(descriptor)
}

export function writeSync(descriptor: number, text: string): number {
  const file = open.get(descriptor)
  if (!(file instanceof DiskFile)) throw failure('EBADF', String(descriptor))
  file.bytes = new Uint8Array(Buffer.concat([file.bytes, Buffer.from(text)]))
  return text.length
}

export function fsyncSync(descriptor: number): void {
  open.get(descriptor)?.sync()
}

export function fdatasyncSync(descriptor: number): void {
  open.get(descriptor)?.sync()
}

export function readFileSync(path: string, encoding: BufferEncoding): string {
  const file = disk.find(path)
  if (!(file instanceof DiskFile)) throw failure('ENOENT', path)
  return Buffer.from(file.bytes).toString(encoding)
}

export function writeFileSync(path: string, bytes: Uint8Array): void {
  const descriptor = openSync(path, 'w')
  ;(open.get(descriptor) as DiskFile).bytes = new Uint8Array(bytes)
  closeSync(descriptor)
}

export function renameSync(from: string, to: string): void {
  const node = disk.find(from)
  if (node === undefined) throw failure('ENOENT', from)
  const parent = directoryAt(dirnameOf(from))
  if (directoryAt(dirnameOf(to)) !== parent) throw failure('EXDEV', to)
  parent.change([
    { name: basenameOf(from), node: undefined },
    { name: basenameOf(to), node },
  ])
}

export function rmSync(path: string): void {
  if (disk.find(path) !== undefined) directoryAt(dirnameOf(path)).change([{ name: basenameOf(path), node: undefined }])
}

export function readdirSync(path: string): string[] {
  return [...directoryAt(path).entries.keys()]
}

export function statSync(path: string): { readonly size: number } {
  const node = disk.find(path)
  if (node === undefined) throw failure('ENOENT', path)
  return { size: node instanceof DiskFile ? node.bytes.length : 4096 }
}

export function statfsSync(): { readonly bavail: number; readonly bsize: number } {
  return { bavail: disk.freeBytes / 4096, bsize: 4096 }
}

/** A name of its own for each look: a process that was killed has not let go of the directories that it had open, and here all share one. */
export function realpathSync(path: string): string {
  return `${path}#${++lookups}`
}

export function chmodSync(): void {}

/** `data.mdb` of an environment that LMDB opens; made when it is not there. */
export function environmentAt(directory: string): EnvironmentFile {
  const path = `${directory}/data.mdb`
  const found = disk.find(path)
  if (found instanceof EnvironmentFile) return found
  const made = new EnvironmentFile()
  directoryAt(directory).change([{ name: 'data.mdb', node: made }])
  return made
}

function directoryAt(path: string): DiskDirectory {
  const node = disk.find(path)
  if (node instanceof DiskDirectory) return node
  throw failure('ENOENT', path)
}

function dirnameOf(path: string): string {
  return path.slice(0, path.lastIndexOf('/'))
}

function basenameOf(path: string): string {
  return path.slice(path.lastIndexOf('/') + 1)
}

function failure(code: string, path: string): Error {
  return Object.assign(new Error(`${code}: ${path}`), { code })
}
