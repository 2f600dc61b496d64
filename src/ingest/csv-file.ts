import { createReadStream } from 'node:fs'
import { open, realpath, stat } from 'node:fs/promises'
import { pipeline } from 'node:stream'
import { createGunzip } from 'node:zlib'
import { messageOf, MillraceError } from '#base/errors.js'
import { sha256Hex } from '#base/hash.js'
import type { CsvLayout } from './ingest-map.js'
import { type RawRecord, RecordSplitter } from './record-splitter.js'

/** What the beginning of a CSV file tells. */
export interface CsvFile {
  /** Without symbolic links. */
  readonly path: string
  readonly isGzip: boolean
  /** Names of the columns without the space around them, when the layout has a header. */
  readonly header: readonly string[] | undefined
  readonly columnCount: number
  /** Where the first row begins in the unpacked file: byte offset and line. */
  readonly rowsOffset: number
  readonly rowsLine: number
  /** Of the file as it lies on the disk, at the time of opening. */
  readonly fileBytes: number
  /** Hash of the real path and of the first bytes: the header and the first row, so that a file that grows keeps it. */
  readonly identity: string
}

const HEAD_BYTES_MAX = 4 * 1024 * 1024
const READ_BYTES = 256 * 1024

/**
 * Looks at the head of a file, plain or gzip. Throws ERR_CSV_FILE when it cannot be read or is not such a file, ERR_CSV_EMPTY when there is
 * nothing in it.
 */
export async function openCsvFile(givenPath: string, layout: CsvLayout): Promise<CsvFile> {
  const path = await realpath(givenPath).catch((cause: unknown) => {
    throw badFile(givenPath, 'the file cannot be opened', messageOf(cause), cause)
  })
  const about = await stat(path)
  if (!about.isFile())
    throw badFile(path, 'not a file', about.isDirectory() ? 'give the files in this directory one by one' : 'give a regular file')
  if (about.size === 0) throw emptyFile(path)
  const isGzip = await isGzipFile(path)
  if (layout.gzip === true && !isGzip) throw badFile(path, 'the map says gzip: true, the file is not gzip', 'leave gzip out of the map')
  if (layout.gzip === false && isGzip) throw badFile(path, 'the map says gzip: false, the file is gzip', 'leave gzip out of the map')
  if (layout.gzip === 'auto' && path.endsWith('.gz') && !isGzip)
    throw badFile(path, 'the name ends in .gz, the file is not gzip', 'rename it or write gzip: false')
  const head = await readHead(path, isGzip, layout)
  if (head.records.length === 0 && head.isWhole) throw emptyFile(path)
  const [first] = head.records
  if (first?.problem !== undefined) throw badFile(path, `the first row cannot be read: ${first.problem}`, 'is this a CSV file?')
  const cells = first === undefined ? [] : cellsOf(first, layout)
  const header = layout.header ? cells.map((name) => name.trim()) : undefined
  if (header?.some((name) => name.includes('\r')))
    throw badFile(path, 'its lines end in a lone carriage return', 'convert the line ends to LF or CRLF')
  const isPastHeader = layout.header && first !== undefined
  return {
    path,
    isGzip,
    header,
    columnCount: cells.length,
    rowsOffset: head.bomBytes + (isPastHeader ? first.end : 0),
    rowsLine: isPastHeader ? first.line + first.lines : 1,
    fileBytes: about.size,
    identity: sha256Hex(path, '\0', ...head.records.slice(0, layout.header ? 2 : 1).map((record) => `${record.text}\n`)).slice(0, 32),
  }
}

/** The bytes of the file, unpacked, from its start. `progress` is told how far the file on the disk has been read. */
export async function* readCsvBytes(
  file: { readonly path: string; readonly isGzip: boolean },
  progress: (bytesRead: number) => void,
): AsyncGenerator<Buffer> {
  const plain = createReadStream(file.path, { highWaterMark: READ_BYTES })
  const stream = file.isGzip ? pipeline(plain, createGunzip({ chunkSize: READ_BYTES }), () => {}) : plain
  try {
    for await (const chunk of stream) {
      progress(plain.bytesRead)
      yield chunk as Buffer
    }
  } catch (cause) {
    const isZlib = (cause as NodeJS.ErrnoException).code?.startsWith('Z_') === true
    throw badFile(
      file.path,
      isZlib ? 'the gzip file is cut or damaged' : 'the file cannot be read on',
      isZlib ? 'every row before that place was taken; get the whole file and run again' : messageOf(cause),
      cause,
    )
  } finally {
    plain.destroy()
  }
}

export function cellsOf(record: RawRecord, layout: CsvLayout): readonly string[] {
  return record.cells ?? record.text.split(layout.delimiter)
}

interface Head {
  readonly bomBytes: number
  /** The first two, or fewer when the file has no more. Ends count from behind the byte order mark. */
  readonly records: readonly RawRecord[]
  readonly isWhole: boolean
}

async function readHead(path: string, isGzip: boolean, layout: CsvLayout): Promise<Head> {
  const splitter = new RecordSplitter({ layout, recordBytesMax: HEAD_BYTES_MAX, offset: 0, line: 1, columnCount: undefined })
  const records: RawRecord[] = []
  let bomBytes = 0
  let isFirst = true
  for await (const chunk of readCsvBytes({ path, isGzip }, () => {})) {
    if (isFirst && isUtf16(chunk)) throw badFile(path, 'the file is UTF-16', 'convert it: iconv -f UTF-16 -t UTF-8')
    if (isFirst) bomBytes = chunk[0] === 0xef && chunk[1] === 0xbb && chunk[2] === 0xbf ? 3 : 0
    records.push(...splitter.push(isFirst ? chunk.subarray(bomBytes) : chunk))
    isFirst = false
    if (records.length >= 2) return { bomBytes, records: records.slice(0, 2), isWhole: false }
  }
  records.push(...splitter.end())
  return { bomBytes, records: records.slice(0, 2), isWhole: true }
}

function isUtf16(chunk: Buffer): boolean {
  return (chunk[0] === 0xff && chunk[1] === 0xfe) || (chunk[0] === 0xfe && chunk[1] === 0xff)
}

/** By its first two bytes. */
export async function isGzipFile(path: string): Promise<boolean> {
  const file = await open(path, 'r')
  try {
    const { bytesRead, buffer } = await file.read(Buffer.alloc(2), 0, 2, 0)
    return bytesRead === 2 && buffer[0] === 0x1f && buffer[1] === 0x8b
  } finally {
    await file.close()
  }
}

function badFile(path: string, fact: string, next: string, cause?: unknown): MillraceError {
  return new MillraceError('ERR_CSV_FILE', {
    fact,
    action: 'operator',
    values: { file: path },
    next,
    ...(cause === undefined ? {} : { cause }),
  })
}

export function emptyFile(path: string): MillraceError {
  return new MillraceError('ERR_CSV_EMPTY', {
    fact: 'the file is empty',
    action: 'operator',
    values: { file: path },
    next: 'nothing was taken from it; is it the right file?',
  })
}
