import { f64, i32, label, text as textField, type Fields, fieldSchemas } from '#schema/index.js'
import { Intake, type SizeData, type SizeType } from './size-rows.js'

/** The stamps have seven digits behind the second: microseconds, and tenths of one. */
const TENTH = { tenth: i32() }
const MEASURED = typeOf('Measured', { ...TENTH, value: f64() })
const MOVED = typeOf('Moved', { ...TENTH, x: f64('mm'), y: f64('mm'), z: f64('mm') })
const CHANGED = typeOf('Changed', { ...TENTH, value: label() })
const LOST = typeOf('Lost', TENTH)
const CONDITION = typeOf('ConditionChanged', {
  ...TENTH,
  level: label(),
  code: label(),
  severity: label(),
  qualifier: label(),
  message: textField(),
})
const ASSET = typeOf('AssetChanged', { ...TENTH, id: label(), kind: label(), content: textField() })
const SOURCE = 'shdr-okuma-multus-u3000'

/**
 * What an SHDR adapter said, each data item an entity: a number, a place in space, a state, a condition, an asset, or that the item has no
 * value now. Everything that the file holds is in the events, so that the file could be written again.
 */
export function okuma(file: string): SizeData {
  const intake = new Intake('okuma')
  const lines = file.split(/\r?\n/)
  for (let index = 0; index < lines.length; index++) {
    const line = lines[index] as string
    const parts = line.split('|')
    const stamp = /^(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)\.(\d{6})(\d)Z$/.exec(parts[0] as string)
    if (stamp === null) continue
    const at = Date.parse(`${stamp[1]}Z`) * 1000 + Number(stamp[2])
    const tenth = Number(stamp[3])
    const take = (item: string, type: SizeType, data: Record<string, unknown>): void =>
      intake.take(`data-item/${item === '' ? 'none' : item}`, type, at, SOURCE, { tenth, ...data })
    if (parts[1]?.startsWith('@')) {
      let content = parts.slice(4).join('|')
      if (content.startsWith('--multiline--')) {
        const body: string[] = []
        while (lines[++index] !== content && index < lines.length) body.push(lines[index] as string)
        content = body.join('\n')
      }
      take(parts[1], ASSET, { id: parts[2] ?? '', kind: parts[3] ?? '', content })
    } else if (parts[1]?.endsWith('_cond') === true || /^(NORMAL|WARNING|FAULT)$/.test(parts[2] ?? '')) {
      const [, item = '', level = '', code = '', severity = '', qualifier = '', message = ''] = parts
      take(item, CONDITION, { level, code, severity, qualifier, message })
    } else for (let part = 1; part + 1 < parts.length; part += 2) observe(parts[part] as string, parts[part + 1] as string, take)
  }
  const types = [MEASURED, MOVED, CHANGED, LOST, CONDITION, ASSET]
  return { name: 'okuma-mtconnect', types, rows: intake.rows, samples: intake.rows.length }
}

const NUMBER = /^-?(0|[1-9]\d*)(\.\d*[1-9])?$/

function observe(item: string, value: string, take: (item: string, type: SizeType, data: Record<string, unknown>) => void): void {
  const place = value.split(' ')
  if (value === 'UNAVAILABLE') take(item, LOST, {})
  else if (NUMBER.test(value) && String(Number(value)) === value) take(item, MEASURED, { value: Number(value) })
  else if (place.length === 3 && place.every((one) => NUMBER.test(one) && String(Number(one)) === one))
    take(item, MOVED, { x: Number(place[0]), y: Number(place[1]), z: Number(place[2]) })
  else take(item, CHANGED, { value })
}

function typeOf(event: string, fields: Fields): SizeType {
  return { entity: 'data-item', event, fields: fieldSchemas(fields) }
}
