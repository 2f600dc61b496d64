import { MillraceError } from '#base/errors.js'
import { BlockReplay, type Journal, type ReplayRow } from '#journal/index.js'
import { emptyReport, type SensorData, sensorReport } from './sensor-data.js'

/**
 * Reads a whole log of sensors and answers how many events it has. Throws ERR_BENCH_FAILED for the first row that is not what its sensor reported, or
 * that does not follow the one before it of the same sensor.
 */
export async function checkSensorLog(journal: Journal): Promise<number> {
  const byNumber = Array.from({ length: journal.shardCount }, (_, shard) =>
    [...journal.heads(shard)].map(({ entity }) => {
      const one = { sensor: Number(entity.slice(entity.lastIndexOf('-') + 1)) - 1, version: 0 }
      return one
    }),
  )
  const expected = emptyReport()
  let rows = 0
  const check = (row: ReplayRow) => {
    const one = byNumber[row.shard]?.[row.entityNumber]
    if (one === undefined) throw failed('a row of a sensor that the log does not know', { position: row.position })
    rows++
    one.version++
    const data = row.data() as SensorData
    sensorReport(one.sensor, one.version, expected)
    const isRight =
      row.version === one.version &&
      row.sequence === one.version &&
      data.cycle === expected.cycle &&
      data.temperature === expected.temperature &&
      data.pressure === expected.pressure &&
      data.state === expected.state
    if (!isRight)
      throw failed('a row is not what its sensor reported', { position: row.position, sensor: one.sensor, version: row.version })
  }
  const types = journal.eventTypes
  for await (const block of journal.blocks({ from: 0 })) {
    const replay = new BlockReplay(block, types)
    for (let shard = 0; shard < journal.shardCount; shard++) replay.forEachRow(shard, check)
  }
  return rows
}

function failed(fact: string, values: Readonly<Record<string, unknown>>): MillraceError {
  return new MillraceError('ERR_BENCH_FAILED', { fact, action: 'operator', values })
}
