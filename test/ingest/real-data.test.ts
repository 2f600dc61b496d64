import { readFileSync } from 'node:fs'
import { gunzipSync } from 'node:zlib'
import { describe, expect, test } from 'vitest'
import { readMapFile } from '#ingest/map-file.js'
import { dataFiles, missingData, rowsOf } from './data.js'

/** The rows of a file as the plainest code there is reads them: none of these files has a quote. */
function plainRows(path: string, delimiter: string): Record<string, string>[] {
  const bytes = readFileSync(path)
  const [header = '', ...lines] = (path.endsWith('.gz') ? gunzipSync(bytes) : bytes)
    .toString('utf8')
    .replaceAll('\r', '')
    .trimEnd()
    .split('\n')
  const names = header.split(delimiter)
  return lines.map((line) => Object.fromEntries(line.split(delimiter).map((cell, index) => [names[index], cell])))
}

const sets = [
  { folder: 'skab', ending: '.csv', map: 'skab', delimiter: ';', rowCount: 46_806, first: '2020-02-08T10:30:47Z' },
  { folder: 'nab-machine-temperature', ending: '.csv', map: 'nab', delimiter: ',', rowCount: 22_695, first: '2013-12-02T21:15:00Z' },
  { folder: 'cnc-mill', ending: '.csv.gz', map: 'cnc-mill', delimiter: ',', rowCount: 25_286, first: '2018-01-01T00:00:00Z' },
] as const

describe.each(sets)('the real data of $folder with its example map', ({ folder, ending, map: mapName, delimiter, rowCount, first }) => {
  const missing = missingData(folder)
  test.skipIf(missing !== undefined)(
    `becomes ${rowCount} commands with the values of the file, bit for bit${missing === undefined ? '' : ` (${missing})`}`,
    async () => {
      const map = await readMapFile(`examples/ingest/${mapName}.map.yaml`)
      let count = 0
      const differing: unknown[] = []

      for (const path of dataFiles(folder, ending)) {
        const rows = await rowsOf(path, map)
        const plain = plainRows(path, delimiter)
        if (count === 0) expect(rows[0]?.command).toMatchObject({ at: Date.parse(first) * 1000 })
        expect(rows.length).toBe(plain.length)
        count += rows.length
        for (const [index, { command }] of rows.entries()) {
          if (typeof command === 'string') {
            differing.push({ path, index, command })
            continue
          }
          for (const { field, from, kind, isOptional } of map.fields) {
            const cell = plain[index]?.[from.kind === 'column' ? from.column : '']
            const expected = kind === 'label' || cell === undefined ? cell : Number(cell)
            if (!Object.is(command.data[field], expected) || (cell === undefined && !isOptional))
              differing.push({ path, index, field, cell })
          }
        }
      }

      expect(differing).toEqual([])
      expect(count).toBe(rowCount)
    },
  )
})
