import { execFile } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { messageOf } from '#base/errors.js'
import { sourcePath } from './compiled.js'

const execute = promisify(execFile)

/** One change to a file below the watched directory, in the order in which it took effect. Names are relative to the directory. */
export type DiskEntry =
  | { readonly kind: 'create' | 'make-directory'; readonly name: string; readonly inode: bigint }
  | {
      readonly kind: 'write'
      readonly id: bigint
      readonly inode: bigint
      readonly offset: number
      readonly data: Buffer
      readonly isSynchronous: boolean
    }
  | { readonly kind: 'resize'; readonly inode: bigint; readonly bytes: number }
  | { readonly kind: 'rename'; readonly name: string; readonly to: string }
  | { readonly kind: 'unlink'; readonly name: string }
  | { readonly kind: 'sync-begin'; readonly id: bigint; readonly inode: bigint }
  | { readonly kind: 'sync-end' | 'write-durable'; readonly id: bigint }
  | { readonly kind: 'acknowledge'; readonly text: string }

/** As in bench/reference/recorded-disk.c, from 1. */
const KINDS = [
  ...([
    'create',
    'make-directory',
    'write',
    'resize',
    'rename',
    'unlink',
    'sync-begin',
    'sync-end',
    'write-durable',
    'acknowledge',
  ] as const),
]
const ENTRY_BYTES = 48

/** Compiles the library into a folder and answers its path, or in words why there is none. */
export async function compileRecordedDisk(folder: string): Promise<{ readonly library: string } | string> {
  const source = sourcePath('reference/recorded-disk.c')
  if (process.platform !== 'linux') return 'libraries are preloaded on Linux only'
  if (!existsSync(source)) return `its source ${source} is not installed`
  const library = join(folder, 'recorded-disk.so')
  try {
    await execute('cc', ['-O2', '-shared', '-fPIC', '-o', library, source, '-ldl', '-lpthread'])
    return { library }
  } catch (error) {
    return error instanceof Error && 'code' in error && error.code === 'ENOENT'
      ? 'there is no C compiler (cc) here'
      : `cc could not compile it: ${messageOf(error)}`
  }
}

/** What the library takes from the environment; see its header. */
export interface RecordedDiskOptions {
  readonly library: string
  readonly root: string
  readonly log?: string
  readonly acks?: string
  readonly isLate?: boolean
  readonly failFile?: string
  readonly roomFile?: string
}

/** Variables for a process that is to run on the recorded disk. */
export function recordedDiskEnvironment(options: RecordedDiskOptions): Record<string, string> {
  const { library, root, log, acks, isLate, failFile, roomFile } = options
  const variables: Record<string, string | undefined> = {
    LD_PRELOAD: library,
    // Calls that go past the C library would not be seen.
    UV_USE_IO_URING: '0',
    MILLRACE_DISK_ROOT: root,
    MILLRACE_DISK_LOG: log,
    MILLRACE_DISK_ACKS: acks,
    MILLRACE_DISK_LATE: isLate === true ? '1' : undefined,
    MILLRACE_DISK_FAIL: failFile,
    MILLRACE_DISK_ROOM: roomFile,
  }
  return Object.fromEntries(Object.entries(variables).filter((pair): pair is [string, string] => pair[1] !== undefined))
}

/** Reads a record to its end. */
export function readDiskRecord(path: string): DiskEntry[] {
  const bytes = readFileSync(path)
  const entries: DiskEntry[] = []
  for (let at = 0; at < bytes.length; ) {
    const kind = KINDS[bytes.readUInt32LE(at) - 1]
    if (kind === undefined) throw new Error(`the record has an unknown entry at ${at}`)
    const inode = bytes.readBigUInt64LE(at + 8)
    const offset = Number(bytes.readBigUInt64LE(at + 16))
    const dataBytes = Number(bytes.readBigUInt64LE(at + 24))
    const id = bytes.readBigUInt64LE(at + 32)
    const nameEnd = at + ENTRY_BYTES + bytes.readUInt32LE(at + 40)
    const otherEnd = nameEnd + bytes.readUInt32LE(at + 44)
    const name = bytes.toString('utf8', at + ENTRY_BYTES, nameEnd)
    const data = bytes.subarray(otherEnd, otherEnd + dataBytes)
    if (kind === 'write') entries.push({ kind, id, inode, offset, data, isSynchronous: bytes.readUInt32LE(at + 4) !== 0 })
    else if (kind === 'create' || kind === 'make-directory') entries.push({ kind, name, inode })
    else if (kind === 'resize') entries.push({ kind, inode, bytes: offset })
    else if (kind === 'rename') entries.push({ kind, name, to: bytes.toString('utf8', nameEnd, otherEnd) })
    else if (kind === 'unlink') entries.push({ kind, name })
    else if (kind === 'sync-begin') entries.push({ kind, id, inode })
    else if (kind === 'acknowledge') entries.push({ kind, text: data.toString('utf8') })
    else entries.push({ kind, id })
    at = otherEnd + (kind === 'write' || kind === 'acknowledge' ? dataBytes : 0)
  }
  return entries
}
