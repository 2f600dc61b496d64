import { exactJson } from '#base/exact-json.js'
import { isoMicros } from '#base/micros.js'
import { sharedColumn } from '#journal/query/columns.js'
import type { GroupColumns } from '#journal/query/group-columns.js'
import { PartFile } from './part-file.js'
import type { Table } from './table.js'
import { tableColumns } from './table-columns.js'

/** A JSON object per row, whatever its event type: the columns of every row, what a row lacks left out, and the event's fields under `data`. Written as exactJson does. */
export class JsonLines implements Table {
  rowCount = 0
  readonly #file: PartFile

  constructor(path: string) {
    this.#file = new PartFile(path)
  }

  get path(): string {
    return this.#file.path
  }

  get heldBytes(): number {
    return 0
  }

  take(columns: GroupColumns, picks: Uint32Array | undefined, count: number): void {
    const readers = SHARED.map(({ name, kind, reader }) => ({ key: JSON.stringify(name), isTime: kind === 'time', read: reader(columns) }))
    const dataOf = columns.reader(DATA)
    for (let index = 0; index < count; index++) {
      const pick = picks === undefined ? index : (picks[index] as number)
      let line = '{'
      for (const { key, isTime, read } of readers) {
        const value = read(pick)
        if (value !== undefined) line += `${key}:${isTime ? JSON.stringify(isoMicros(value as number)) : exactJson(value)},`
      }
      this.#file.write(`${line}"data":${exactJson(dataOf(pick))}}\n`)
    }
    this.rowCount += count
  }

  flush(): void {
    this.#file.flush()
  }

  finish(): number {
    this.#file.close()
    return this.#file.bytes
  }

  abandon(): void {
    this.#file.abandon()
  }
}

const SHARED = tableColumns(undefined)
const DATA = sharedColumn('data')
