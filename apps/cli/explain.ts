import type { QueryPlan, ScanCounts } from '#journal/index.js'
import type { Output } from './output.js'

export interface Explained {
  readonly plan: QueryPlan
  readonly counts: ScanCounts
  /** Given out. */
  readonly rows: number
  readonly ms: number
}

/** Says what a query read and why it read no more. */
export function printExplained({ plan, counts, rows, ms }: Explained, output: Output): void {
  const title = (text: string): string => output.tone('bold', text.padEnd(11))
  const reasons = Object.entries(plan.skipped).filter(([, blocks]) => blocks > 0)
  output.line(
    `${title('plan')}read ${count(plan.blocksToRead)} of ${many(plan.blocks, 'block')}: ${many(plan.rowsToRead, 'row')}, ${bytes(plan.bytesToRead)}`,
  )
  output.line(
    `${title('skipped')}${reasons.length === 0 ? 'none' : reasons.map(([reason, blocks]) => `${count(blocks)} by ${reason}`).join(', ')}`,
  )
  output.line(`${title('events')}${plan.events.join(', ') || 'none'}`)
  output.line(`${title('decodes')}${plan.decoded.join(', ') || 'no column'}`)
  for (const { text, skipsBy } of plan.conditions)
    output.line(`${title('where')}${text}${skipsBy === 'nothing' ? '' : output.tone('dim', `  (rules out blocks by ${skipsBy})`)}`)
  output.line(`${title('order')}${plan.order}`)
  const groups = `${many(counts.groupsRead, 'row group')} (${count(counts.groupsSkipped)} skipped)`
  output.line(`${title('read')}${many(counts.blocksRead, 'block')}, ${groups}, ${many(counts.valuesScanned, 'value')}`)
  output.line(
    `${title('found')}${count(counts.rowsMatched)} of ${many(counts.rowsScanned, 'row')} match, ${many(rows, 'row')} given out, in ${ms.toFixed(1)} ms`,
  )
}

function count(value: number): string {
  return value.toLocaleString('en-US')
}

function many(value: number, what: string): string {
  return `${count(value)} ${what}${value === 1 ? '' : 's'}`
}

function bytes(value: number): string {
  const [divisor, unit] = value < 1 << 20 ? [1 << 10, 'KiB'] : [1 << 20, 'MiB']
  return `${(value / divisor).toFixed(1)} ${unit}`
}
