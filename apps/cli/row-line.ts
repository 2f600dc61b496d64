import { exactJson } from '#base/exact-json.js'
import { isoMicros } from '#base/micros.js'
import type { Row } from '#journal/index.js'
import { presentRow } from '#reading/row-query.js'
import type { Output } from './output.js'

/** One row for a person: `17  press/press-1  v3  2026-01-01T…Z  Sampled {"temperature":95}`. */
export function rowLine(row: Row, output: Output): string {
  const { refused, detail } = presentRow(row)
  const what = row.event ?? (refused === undefined ? 'receipt' : `refused ${exactJson(refused)}`)
  const data = row.event === undefined ? (detail === undefined ? '' : exactJson(detail)) : exactJson(row.data)
  const late = row.isLate ? output.tone('yellow', ' late') : ''
  return `${row.position}  ${row.entity}  v${row.version}  ${isoMicros(row.at)}${late}  ${output.tone('bold', what)} ${data}`.trimEnd()
}
