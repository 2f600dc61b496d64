import type { FieldKind } from '#schema/index.js'

/**
 * What a map file says, with every default filled in: how rows of a file or messages of a topic become commands. Made by `parseMap`, never
 * by hand. Nothing of it is checked again behind the parser.
 */
export interface IngestMap {
  /** `csv`: rows of a file. `json`: MQTT messages with a JSON payload. */
  readonly format: 'csv' | 'json'
  readonly csv: CsvLayout
  /** IANA zone of times that carry no offset of their own. */
  readonly zone: string
  /** A local time that the clocks showed twice: which of the two is meant. */
  readonly overlap: 'earlier' | 'later' | 'reject'
  /** A local time that the clocks skipped: the row is rejected, or moved forward by the length of the gap. */
  readonly gap: 'reject' | 'shift'
  readonly time: TimeFrom
  readonly entityType: string
  readonly entityName: NameFrom
  readonly command: string
  readonly fields: readonly FieldFrom[]
  /** Columns that are known and left out; `rest`: all that the map does not name. */
  readonly skip: readonly ColumnRef[] | 'rest'
  /** MQTT only: a number that grows by message. Undefined: the topic is at least once. */
  readonly sequence: SequenceFrom | undefined
  /** Replaces the default name under which the plant remembers what it has taken. */
  readonly source: NameFrom | undefined
  /** Path of the module with the entity definition, as it stands in the map: relative to the map file. */
  readonly module: string | undefined
}

export interface CsvLayout {
  /** One character. */
  readonly delimiter: string
  /** One character, or empty when nothing is ever quoted. */
  readonly quote: string
  /** `auto`: by the name's ending `.gz`. */
  readonly gzip: boolean | 'auto'
  readonly header: boolean
  readonly decimal: '.' | ','
  readonly encoding: 'utf-8' | 'latin1'
}

/** A column by its name in the header, or by its number from 1. */
export type ColumnRef = string | number

/** Where a text comes from: one kind per map format, see `map-schema.ts`. */
export type TextFrom =
  | { readonly kind: 'column'; readonly column: ColumnRef }
  | { readonly kind: 'path'; readonly path: JsonPath }
  /** A level of the topic, from 0. */
  | { readonly kind: 'topic'; readonly level: number }

export type NameFrom =
  | (TextFrom & Affixes)
  /** `stem`: the file's name without its endings. `folder-and-stem`: the last folder, a dash, the stem. */
  | ({ readonly kind: 'file'; readonly part: 'stem' | 'name' | 'folder-and-stem' } & Affixes)
  | { readonly kind: 'constant'; readonly text: string }

export interface Affixes {
  readonly prefix: string
}

/** Steps into a JSON value: object keys and array indexes. */
export type JsonPath = readonly (string | number)[]

export type TimeFrom =
  | { readonly kind: 'read'; readonly from: TextFrom; readonly format: string }
  /** Row n, from 1, happened at start + (n - 1) steps. CSV only. */
  | { readonly kind: 'step'; readonly startMicros: number; readonly stepMicros: number }
  /** When the plant takes it. */
  | { readonly kind: 'arrival' }

export interface FieldFrom {
  readonly field: string
  readonly from: TextFrom
  /** What the text or JSON value is read as. */
  readonly kind: FieldKind
  /** For people and for `--infer`; nothing is converted by it. */
  readonly unit: string | undefined
  /** value * scale + offset; 1 and 0 leave each bit as it is. Numbers only. */
  readonly scale: number
  readonly offset: number
  /** The column may be absent from the file, the cell may be empty, the path may be missing: then the field is left out. */
  readonly isOptional: boolean
  /** Of a `time` field. */
  readonly format: string
}

export type SequenceFrom =
  | { readonly kind: 'path'; readonly path: JsonPath }
  /** An MQTT 5 user property. */
  | { readonly kind: 'property'; readonly property: string }

export function isSkipped(map: IngestMap, name: string, number: number): boolean {
  return map.skip === 'rest' || map.skip.includes(name) || map.skip.includes(number)
}
