import { readFileSync } from 'node:fs'
import { isMap, isScalar, LineCounter, type Node, parse, parseDocument } from 'yaml'
import { MillraceError } from '#base/errors.js'
import { KNOBS } from './config-schema.js'

/** Where a value was said. */
export type Origin =
  | { readonly kind: 'default'; readonly line: number }
  | { readonly kind: 'file'; readonly file: string; readonly line: number }
  | { readonly kind: 'variable'; readonly variable: string }

/** One value for one knob, not yet checked against its bounds. */
export interface Setting {
  readonly path: string
  readonly value: unknown
  readonly origin: Origin
}

/** The settings of a YAML file, in its order. Throws ERR_CONFIG naming file and line for bad YAML and unknown keys. */
export function readSettings(file: string, originAt: (line: number) => Origin): Setting[] {
  const lines = new LineCounter()
  const document = parseDocument(readText(file), { lineCounter: lines })
  const broken = document.errors[0] ?? document.warnings[0]
  if (broken !== undefined) {
    const line = broken.linePos?.[0].line ?? 1
    throw refused(`not valid YAML: ${broken.message.split('\n')[0]?.replace(/ at line .*$/, '')}`, originAt(line), {}, 'mend the line')
  }
  const root = document.contents
  if (root === null || (isScalar(root) && root.value === null)) return []
  return settingsOf(root, '')

  function settingsOf(node: Node, path: string): Setting[] {
    const prefix = path === '' ? '' : `${path}.`
    if (!isMap(node))
      throw refused('a group was given a value', originAt(lineOf(node)), { key: path }, `put its knobs below it: ${below(prefix)}`)
    return node.items.flatMap((pair) => {
      const key = pair.key as Node
      const name = isScalar(key) ? String(key.value) : String(key)
      const origin = originAt(lineOf(key))
      const value = pair.value as Node | null
      const full = `${prefix}${name}`
      if (KNOBS.has(full)) return [{ path: full, value: value === null ? null : value.toJS(document), origin }]
      if (!isGroup(full)) throw unknownKey(full, origin)
      // A group whose lines are all commented out says nothing.
      return value === null || (isScalar(value) && value.value === null) ? [] : settingsOf(value, full)
    })
  }

  function lineOf(node: Node): number {
    return lines.linePos(node.range?.[0] ?? 0).line
  }
}

/**
 * The settings of `MILLRACE_GROUP__KNOB_NAME` variables. Throws ERR_CONFIG for one that names no knob. Other variables that begin with
 * MILLRACE_ are none of ours, unless they are a knob's name but for a missing underscore.
 */
export function variableSettings(env: Readonly<Record<string, string | undefined>>): Setting[] {
  return Object.entries(env).flatMap(([variable, text]) => {
    if (!variable.startsWith(VARIABLE_PREFIX) || text === undefined) return []
    const path = variable.slice(VARIABLE_PREFIX.length).split('__').map(camelOf).join('.')
    const origin: Origin = { kind: 'variable', variable }
    if (KNOBS.has(path)) return [{ path, value: valueOf(path, text), origin }]
    if (variable.includes('__')) throw unknownKey(path, origin)
    const meant = [...KNOBS.keys()].find((known) => plain(known) === plain(path))
    if (meant !== undefined) throw refused('not a variable that is read', origin, {}, `say ${variableOf(meant)}`)
    return []
  })
}

/** `bus.capacityBytes` → `MILLRACE_BUS__CAPACITY_BYTES`. */
export function variableOf(path: string): string {
  const parts = path.split('.').map((part) => part.replace(/[A-Z]/g, (letter) => `_${letter}`).toUpperCase())
  return `${VARIABLE_PREFIX}${parts.join('__')}`
}

/** `millrace.yaml:3`, `variable MILLRACE_HTTP__PORT` or `default`. */
export function showOrigin(origin: Origin): string {
  if (origin.kind === 'default') return 'default'
  return origin.kind === 'file' ? `${origin.file}:${origin.line}` : `variable ${origin.variable}`
}

/** An ERR_CONFIG that says where the fault is. */
export function refused(fact: string, origin: Origin, values: Record<string, unknown>, next: string): MillraceError {
  const at: Record<string, unknown> =
    origin.kind === 'variable'
      ? { variable: origin.variable }
      : { at: origin.kind === 'default' ? `default.yaml:${origin.line}` : showOrigin(origin) }
  return new MillraceError('ERR_CONFIG', { fact, action: 'operator', values: { ...at, ...values }, next })
}

const VARIABLE_PREFIX = 'MILLRACE_'

/** A number or a truth value is read as YAML reads it; where the knob wants a string, a token of digits stays one. */
function valueOf(path: string, text: string): unknown {
  let value: unknown
  try {
    value = parse(text)
  } catch {
    return text
  }
  return KNOBS.get(path)?.schema.safeParse(value).success === true ? value : text
}

function unknownKey(path: string, origin: Origin): MillraceError {
  if (origin.kind === 'variable') {
    const meant = nearest(path, [...KNOBS.keys()])
    const hint = meant === undefined ? 'see config/default.yaml for every key there is' : `did you mean ${variableOf(meant)}`
    return refused('no such configuration variable', origin, {}, hint)
  }
  const meant = nearest(path, [...KNOBS.keys(), ...groups()])
  const hint = meant === undefined ? 'see config/default.yaml for every key there is' : `did you mean ${meant}`
  return refused('no such configuration key', origin, { key: path }, hint)
}

/** The candidate that differs from `path` in the fewest letters, or has the same last name; undefined when none is close. */
function nearest(path: string, candidates: readonly string[]): string | undefined {
  const ranked = candidates
    .map((known) => ({ known, distance: Math.min(distance(path, known), last(path) === last(known) ? 1 : Number.POSITIVE_INFINITY) }))
    .sort((a, b) => a.distance - b.distance)
  const best = ranked[0]
  return best !== undefined && best.distance <= Math.max(2, path.length / 3) ? best.known : undefined
}

function groups(): string[] {
  return [...new Set([...KNOBS.keys()].map((known) => known.slice(0, known.lastIndexOf('.'))))]
}

/** Levenshtein's, without regard to case. */
function distance(left: string, right: string): number {
  const a = left.toLowerCase()
  const b = right.toLowerCase()
  let row = Array.from({ length: b.length + 1 }, (_, index) => index)
  for (let i = 1; i <= a.length; i++) {
    const next = [i]
    for (let j = 1; j <= b.length; j++) {
      const replaced = (row[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1)
      next.push(Math.min(replaced, (row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1))
    }
    row = next
  }
  return row[b.length] ?? 0
}

function isGroup(path: string): boolean {
  return groups().some((group) => group === path || group.startsWith(`${path}.`))
}

function below(prefix: string): string {
  const knobs = [...KNOBS.keys()].filter((known) => known.startsWith(prefix))
  return prefix === ''
    ? [...new Set(knobs.map((known) => known.split('.')[0]))].join(', ')
    : knobs.map((known) => known.slice(prefix.length)).join(', ')
}

function last(path: string): string {
  return path.slice(path.lastIndexOf('.') + 1)
}

function plain(path: string): string {
  return path.replaceAll(/[._]/g, '').toLowerCase()
}

function camelOf(segment: string): string {
  return segment.toLowerCase().replace(/_([a-z])/g, (_, letter: string) => letter.toUpperCase())
}

function readText(file: string): string {
  try {
    return readFileSync(file, 'utf8')
  } catch (cause) {
    throw new MillraceError('ERR_CONFIG', {
      fact: 'the configuration file cannot be read',
      action: 'operator',
      values: { file },
      next: 'name another with --config, or make it readable',
      cause,
    })
  }
}
