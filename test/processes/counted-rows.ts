import { JournalAccess } from '#runtime/journal-access.js'
import type { PlantFolder } from '../apps/plant-folder.js'
import { run } from '../apps/program-under-test.js'

const COUNTERS = 40
const WRONG_SHOWN = 10

/** Map of a file of `counts`. */
export const COUNTS_MAP = `
format: csv
time: { column: at, format: unix-us }
entity: { type: counter, name: { column: counter } }
command: count
fields:
  n: { column: n, kind: i32 }
`

/** A file in which `n` counts up on each of the counters in turn, which are all called by one name and a number. */
export function counts(rows: number, name = 'counter'): string {
  let text = 'at,counter,n\n'
  for (let row = 0; row < rows; row++)
    text += `${1_700_000_000_000_000 + row},${name}-${row % COUNTERS},${1 + Math.floor(row / COUNTERS)}\n`
  return text
}

export async function isStored(folder: PlantFolder, rows: number): Promise<boolean> {
  return (await rowCount(folder)) >= rows
}

/** Rows in the log. Asked without a command of the line in between, which would take longer than the file. */
export async function rowCount(folder: PlantFolder): Promise<number> {
  const access = await JournalAccess.open(folder.data)
  try {
    return (await access.summary()).endPosition
  } finally {
    await access.close()
  }
}

/** Counters of that name that did not count from 1 up to their share of the rows, each number once: how many they counted, and the first that are wrong, as [the number that should be there, what is]. */
export async function countsThatDiffer(folder: PlantFolder, rows: number, name = 'counter'): Promise<unknown[]> {
  const { lines } = await run(folder, ['query', '--entity', `counter/${name}-*`, '--json'])
  const counted = new Map<string, number[]>()
  for (const { entity, data } of lines) {
    const list = counted.get(entity as string) ?? []
    list.push((data as { n: number }).n)
    counted.set(entity as string, list)
  }
  const differing = [...counted].flatMap(([entity, ns]) => {
    const wrong = ns.flatMap((n, index) => (n === index + 1 ? [] : [[index + 1, n]]))
    return ns.length === rows / COUNTERS && wrong.length === 0 ? [] : [[entity, ns.length, ...wrong.slice(0, WRONG_SHOWN)]]
  })
  return counted.size === COUNTERS ? differing : [`${counted.size} counters`]
}
