import { isoMicros } from '#base/micros.js'
import { JournalAccess } from '#runtime/journal-access.js'
import type { SegmentReport } from '#runtime/segment-service.js'
import type { Run } from './command.js'
import type { Output } from './output.js'
import { dataDirectoryOf } from './place.js'

/** Shows the log as files: what is sealed, what takes how much room, and which subscriptions still need what. */
export const runLogSegments: Run = async (_args, options, output) => {
  const access = await JournalAccess.open(dataDirectoryOf(options))
  try {
    const report = await access.segments()
    if (output.isJson) output.json(report)
    else show(report, output)
    return 0
  } finally {
    await access.close()
  }
}

function show({ firstPosition, endPosition, storedBytes, sealed, subscriptions }: SegmentReport, output: Output): void {
  const sealedEnd = sealed.at(-1)?.endPosition ?? firstPosition
  const sealedBytes = sealed.reduce((sum, { bytes }) => sum + bytes, 0)
  output.line(`Rows ${count(firstPosition)} to ${count(endPosition)}, ${mib(storedBytes)} on disk.`)
  if (firstPosition > 0) output.line(`Rows before ${count(firstPosition)} were dropped; base snapshots stand for them.`)
  output.line()
  const needed = (end: number) => subscriptions.filter(({ isFenced, position }) => !isFenced && position < end).map(({ name }) => name)
  output.table(
    [
      { title: 'segment' },
      { title: 'from', align: 'right' },
      { title: 'rows', align: 'right' },
      { title: 'size', align: 'right' },
      { title: 'bytes/row', align: 'right' },
      { title: 'newest row' },
      { title: 'needed by' },
    ],
    [
      ...sealed.map(({ name, firstPosition: from, endPosition: end, bytes, acceptedMax }) => [
        name,
        count(from),
        count(end - from),
        mib(bytes),
        (bytes / Math.max(1, end - from)).toFixed(1),
        isoMicros(acceptedMax),
        needed(end).join(', '),
      ]),
      [
        'active',
        count(sealedEnd),
        count(endPosition - sealedEnd),
        mib(storedBytes - sealedBytes),
        '',
        '',
        endPosition > sealedEnd ? needed(endPosition).join(', ') : '',
      ],
    ],
  )
}

function count(value: number): string {
  return value.toLocaleString('en-US')
}

function mib(bytes: number): string {
  return `${(bytes / 2 ** 20).toFixed(1)} MiB`
}
