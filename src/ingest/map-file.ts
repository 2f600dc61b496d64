import { readFile } from 'node:fs/promises'
import { isMap, isScalar, LineCounter, parseDocument, type Document, type Node } from 'yaml'
import { MillraceError, messageOf } from '#base/errors.js'
import type { FieldFrom, IngestMap, JsonPath, NameFrom, TextFrom, TimeFrom } from './ingest-map.js'
import { parseJsonPath } from './json-path.js'
import { LocalTime } from './local-time.js'
import { type FieldSpec, type MapSpec, mapSpec, type NameSpec } from './map-schema.js'
import { sourcePath } from './source.js'
import { timeReader } from './time-format.js'

/** Larger is a mistake: a data file given as a map. */
const MAP_BYTES_MAX = 1024 * 1024

/** Reads and checks a map file. Throws ERR_MAP_FILE with `file:line` and what is allowed there. */
export async function readMapFile(path: string): Promise<IngestMap> {
  let bytes: Buffer
  try {
    bytes = await readFile(path)
  } catch (cause) {
    throw new MillraceError('ERR_MAP_FILE', {
      fact: 'the map file cannot be read',
      action: 'operator',
      values: { file: path, error: messageOf(cause) },
      next: 'give the path of a map file; millrace ingest csv --infer FILE proposes one',
      cause,
    })
  }
  if (bytes.length > MAP_BYTES_MAX)
    throw badMap(path, 1, 'too large for a map file', `it has at most ${MAP_BYTES_MAX} bytes; is this the data file?`)
  return parseMap(bytes.toString('utf8'), path)
}

/** A map as definitions name it. */
export async function loadMap(map: string | URL | IngestMap, base: string | undefined): Promise<IngestMap> {
  return typeof map === 'string' || map instanceof URL ? readMapFile(sourcePath(map, base)) : map
}

/** `file` is for messages only. Throws ERR_MAP_FILE. */
export function parseMap(text: string, file: string): IngestMap {
  const lines = new LineCounter()
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false })
  const [error] = document.errors
  if (error !== undefined) throw badMap(file, lines.linePos(error.pos[0]).line, 'the map file is not YAML', error.message)
  let plain: unknown
  try {
    plain = document.toJS({ maxAliasCount: 100 })
  } catch (cause) {
    throw badMap(file, 1, 'the map file is not YAML', messageOf(cause))
  }
  if (!isMap(document.contents))
    throw badMap(file, 1, 'the map file has no keys', 'begin with format: csv or format: json; examples are in examples/ingest')
  const parsed = mapSpec.safeParse(plain)
  if (!parsed.success) {
    const issues = parsed.error.issues.flatMap((issue) => describeIssue(issue, document, lines)).sort((a, b) => a.line - b.line)
    const [first] = issues
    if (first !== undefined)
      throw badMap(file, first.line, first.fact, issues.length === 1 ? first.next : `${first.next} (and ${issues.length - 1} more below)`)
  }
  return mapOf(parsed.data as MapSpec, (fact, next, ...path) => badMap(file, lineOf(document, lines, path), fact, next))
}

type Problem = (fact: string, next: string, ...path: (string | number)[]) => MillraceError

function mapOf(spec: MapSpec, problem: Problem): IngestMap {
  const zone = spec.zone ?? 'UTC'
  const overlap = spec.overlap ?? 'earlier'
  const gap = spec.gap ?? 'reject'
  return {
    format: spec.format,
    csv: {
      delimiter: spec.delimiter ?? ',',
      quote: spec.quote ?? '"',
      gzip: spec.gzip ?? 'auto',
      header: spec.header ?? true,
      decimal: spec.decimal ?? '.',
      encoding: spec.encoding ?? 'utf-8',
    },
    zone,
    overlap,
    gap,
    time: timeOf(spec.time, new LocalTime(zone, overlap, gap), problem),
    entityType: spec.entity.type,
    entityName: nameOf(spec.entity.name),
    command: spec.command,
    fields: Object.entries(spec.fields).map(([name, field]) => fieldOf(name, field, spec.format)),
    skip: spec.skip ?? [],
    sequence: sequenceOf(spec.sequence),
    source: spec.source === undefined ? undefined : nameOf(spec.source),
    module: spec.module,
  }
}

function timeOf(time: MapSpec['time'], local: LocalTime, problem: Problem): TimeFrom {
  if (time === undefined) return { kind: 'arrival' }
  if (time.start === undefined || time.step === undefined) return { kind: 'read', from: fromOf(time), format: time.format ?? 'iso' }
  const startMicros = timeReader('iso', local)(time.start)
  if (typeof startMicros === 'string')
    throw problem(`start is ${startMicros}`, 'expected a time such as 2020-01-01T00:00:00Z', 'time', 'start')
  const stepMicros = durationMicros(time.step)
  if (stepMicros === undefined)
    throw problem('step is no duration', 'expected a whole number of microseconds, such as 100ms, 1s, 5min, 250us or 1h', 'time', 'step')
  return { kind: 'step', startMicros, stepMicros }
}

/** `100ms`, `1.5 s`, `5min`, `1h`, `1d`, `250us` in whole microseconds, above 0. */
export function durationMicros(text: string): number | undefined {
  const match = /^(\d+(?:\.\d+)?)\s*(us|ms|s|min|h|d)$/.exec(text.trim())
  if (match === null) return undefined
  const units: Readonly<Record<string, number>> = { us: 1, ms: 1e3, s: 1e6, min: 6e7, h: 3.6e9, d: 8.64e10 }
  const micros = Number(match[1]) * (units[match[2] as string] as number)
  return Number.isSafeInteger(micros) && micros > 0 ? micros : undefined
}

function nameOf(name: NameSpec): NameFrom {
  if (typeof name === 'string') return { kind: 'constant', text: name }
  const prefix = name.prefix ?? ''
  if (name.constant !== undefined) return { kind: 'constant', text: prefix + name.constant }
  return name.file === undefined ? { ...fromOf(name), prefix } : { kind: 'file', part: name.file, prefix }
}

function fieldOf(field: string, spec: FieldSpec, format: 'csv' | 'json'): FieldFrom {
  const given: Exclude<FieldSpec, string> = typeof spec === 'string' ? (format === 'csv' ? { column: spec } : { path: spec }) : spec
  return {
    field,
    from: fromOf(given),
    kind: given.kind ?? 'f64',
    unit: given.unit,
    scale: given.scale ?? 1,
    offset: given.offset ?? 0,
    isOptional: given.optional ?? false,
    format: given.format ?? 'iso',
  }
}

function fromOf(spec: { column?: string | number | undefined; path?: string | undefined; topic?: number | undefined }): TextFrom {
  if (spec.column !== undefined) return { kind: 'column', column: spec.column }
  return spec.topic === undefined
    ? { kind: 'path', path: parseJsonPath(spec.path as string) as JsonPath }
    : { kind: 'topic', level: spec.topic }
}

function sequenceOf(spec: MapSpec['sequence']): IngestMap['sequence'] {
  if (spec === undefined) return undefined
  if (spec.property !== undefined) return { kind: 'property', property: spec.property }
  return { kind: 'path', path: parseJsonPath(spec.path as string) as JsonPath }
}

interface DescribedIssue {
  readonly line: number
  readonly fact: string
  readonly next: string
}

type Issue = {
  readonly code?: string
  readonly path: readonly PropertyKey[]
  readonly message: string
  readonly keys?: readonly string[]
  readonly errors?: readonly (readonly Issue[])[]
}

function describeIssue(given: unknown, document: Document, lines: LineCounter, under: readonly (string | number)[] = []): DescribedIssue[] {
  const issue = given as Issue
  const path = [...under, ...issue.path.map((step) => (typeof step === 'number' ? step : String(step)))]
  const where = path.length === 0 ? 'the map' : path.join('.')
  if (issue.code === 'unrecognized_keys') {
    return (issue.keys ?? []).map((key) => ({
      line: keyLine(document, lines, path, key),
      fact: `${where} has an unknown key ${key}`,
      next: `allowed are ${allowedKeys(path)}`,
    }))
  }
  // A union of a text and an object: when an object was given, what is wrong inside it says more than the union's own message.
  const inner = issue.code === 'invalid_union' && isMap(nodeAt(document, path)) ? issue.errors?.at(-1) : undefined
  if (inner !== undefined && inner.length > 0) return inner.flatMap((one) => describeIssue(one, document, lines, path))
  const isMissing = issue.code === 'invalid_type' && nodeAt(document, path) === undefined
  return [{ line: lineOf(document, lines, path), fact: isMissing ? `${where} is missing` : `${where} is wrong`, next: issue.message }]
}

function allowedKeys(path: readonly (string | number)[]): string {
  const keys: Readonly<Record<string, string>> = {
    '': Object.keys(mapSpec.shape).join(', '),
    time: 'column, path, topic, format, start, step',
    entity: 'type, name',
    'entity.name': 'column, file, constant, topic, path, prefix',
    source: 'column, file, constant, topic, path, prefix',
    sequence: 'path, property',
  }
  return keys[path.join('.')] ?? 'column, path, topic, kind, unit, scale, offset, optional, format'
}

function nodeAt(document: Document, path: readonly (string | number)[]): unknown {
  return path.length === 0 ? document.contents : document.getIn(path, true)
}

/** The line of the deepest part of the path that is there. */
function lineOf(document: Document, lines: LineCounter, path: readonly (string | number)[]): number {
  for (let length = path.length; length > 0; length--) {
    const parent = path.slice(0, length - 1)
    if (nodeAt(document, path.slice(0, length)) !== undefined) return keyLine(document, lines, parent, String(path[length - 1]))
  }
  return 1
}

function keyLine(document: Document, lines: LineCounter, path: readonly (string | number)[], key: string): number {
  const parent = nodeAt(document, path)
  const pair = isMap(parent) ? parent.items.find((item) => isScalar(item.key) && String(item.key.value) === key) : undefined
  const node = (pair?.key ?? document.getIn([...path, /^\d+$/.test(key) ? Number(key) : key], true)) as Node | undefined
  const offset = node?.range?.[0]
  return offset === undefined ? 1 : lines.linePos(offset).line
}

function badMap(file: string, line: number, fact: string, next: string): MillraceError {
  return new MillraceError('ERR_MAP_FILE', { fact, action: 'operator', values: { at: `${file}:${line}` }, next })
}
