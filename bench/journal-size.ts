/**
 * How many bytes does a log take on disk, sealed, and how many do the same rows as Parquet with zstd, written by DuckDB?
 *
 *   rows of a public data set ─▶ journal (LMDB) ─ seal ─▶ log/*.segment + manifest      read back and compared bit for bit
 *                             └▶ DuckDB table ─ COPY ─▶ *.parquet                       read back and counted
 *
 * Every row has all that the log keeps of an event (entity, version, event, two times, source, sequence, outcome, correlation, causation, term,
 * append number, flags) next to its fields, in both. Of Parquet the smallest of several layouts counts: one file or a file per event type, rows
 * as they were taken in or by entity, versions 1 and 2 of the format. The data lie in ../shared/data beside the project; a set that is not there
 * is left out, and the result says so. What decoding takes is measured on the chunks of these logs, in processor time. One core. DuckDB is installed into bench/rivals when it is not there.
 */
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { benchMain } from './harness/bench-main.js'
import { type DecodeSpeed, DecodeSpeeds } from './harness/decode-speed.js'
import { type ParquetSize, parquetSizes } from './harness/duckdb-parquet.js'
import { loadSizeData, SIZE_DATA } from './harness/size-data.js'
import { sealedSize } from './harness/size-journal.js'
import type { SizeData } from './harness/size-rows.js'

export interface JournalSizeOptions {
  readonly names: readonly string[]
  readonly rowsMax: number
  /** Whether Parquet is written too, for which DuckDB must be there or be installed. */
  readonly isCompared: boolean
  /** How long a round of decoding takes at least. */
  readonly decodeMs: number
}

export const JOURNAL_SIZE_FULL: JournalSizeOptions = { names: Object.keys(SIZE_DATA), rowsMax: Infinity, isCompared: true, decodeMs: 50 }
export const JOURNAL_SIZE_SMOKE: JournalSizeOptions = {
  names: ['nab-machine-temperature', 'okuma-mtconnect'],
  rowsMax: 1500,
  isCompared: false,
  decodeMs: 1,
}

export interface DataSize {
  readonly name: string
  readonly rows: number
  /** Values of the source that the rows hold. */
  readonly samples: number
  /** Sealed files and manifest. */
  readonly bytes: number
  readonly bytesPerSample: number
  readonly bytesPerRow: number
  /** Of the smallest layout. */
  readonly parquetZstdBytes?: number
  readonly parquetLayout?: string
  /** Ours by theirs: below 1 is smaller. */
  readonly ratio?: number
  readonly appendedBytes: number
  readonly manifestBytes: number
  readonly sealMicrosPerRow: number
  /** All layouts. */
  readonly parquet: readonly ParquetSize[]
}

export interface JournalSizeBench {
  readonly bench: 'journal-size'
  readonly datasets: readonly DataSize[]
  /** Of the chunks of these logs, all sets together. */
  readonly decoding: readonly DecodeSpeed[]
  readonly skipped: readonly { readonly name: string; readonly reason: string }[]
}

export async function measureJournalSize(options: JournalSizeOptions): Promise<JournalSizeBench> {
  const datasets: DataSize[] = []
  const skipped: { name: string; reason: string }[] = []
  const speeds = new DecodeSpeeds()
  for (const name of options.names) {
    const loaded = loadSizeData(name)
    if (typeof loaded === 'string') skipped.push({ name, reason: loaded })
    else datasets.push(await measure(firstOf(loaded, options.rowsMax), options.isCompared, speeds))
  }
  return { bench: 'journal-size', datasets, decoding: speeds.measure(options.decodeMs), skipped }
}

async function measure(data: SizeData, isCompared: boolean, speeds: DecodeSpeeds): Promise<DataSize> {
  const { name, samples } = data
  const { bytes, appendedBytes, manifestBytes, sealMicrosPerRow } = await sealedSize(data, speeds)
  const parquet = isCompared ? await parquetSizes(data, join(tmpdir(), `millrace-parquet-${process.pid}`)) : []
  const [smallest] = parquet
  const rows = data.rows.length
  return {
    ...{ name, rows, samples, bytes, bytesPerSample: bytes / samples, bytesPerRow: bytes / rows },
    ...(smallest === undefined ? {} : { parquetZstdBytes: smallest.bytes, parquetLayout: smallest.layout, ratio: bytes / smallest.bytes }),
    ...{ appendedBytes, manifestBytes, sealMicrosPerRow, parquet },
  }
}

function firstOf(data: SizeData, rowsMax: number): SizeData {
  if (data.rows.length <= rowsMax) return data
  const rows = data.rows.slice(0, rowsMax)
  return { ...data, rows, samples: Math.round((data.samples * rows.length) / data.rows.length) }
}

export function describeJournalSize({ datasets, decoding, skipped }: JournalSizeBench): string {
  const lines = datasets.map(({ name, rows, bytes, bytesPerSample, parquetZstdBytes, parquetLayout, ratio }) => {
    const ours = `${name}: ${rows} rows in ${bytes} bytes, ${bytesPerSample.toFixed(2)} a sample`
    return ratio === undefined ? ours : `${ours}; as Parquet ${parquetZstdBytes} (${parquetLayout}), ratio ${ratio.toFixed(3)}`
  })
  const speeds = decoding.map(({ encoding, valuesPerSecond }) => `${encoding} ${Math.round(valuesPerSecond / 1e6)} M`)
  const decoded = speeds.length === 0 ? [] : [`values decoded per second of processor time: ${speeds.join(', ')}`]
  return [...lines, ...decoded, ...skipped.map(({ name, reason }) => `${name}: left out, ${reason}`)].join('\n')
}

benchMain(import.meta.url, {
  name: 'journal-size',
  full: JOURNAL_SIZE_FULL,
  smoke: JOURNAL_SIZE_SMOKE,
  measure: measureJournalSize,
  describe: describeJournalSize,
  isGood: ({ datasets }) => datasets.every(({ ratio }) => ratio === undefined || ratio <= 1),
})
