import { percentile, type PlantReport, type Recovery, whatIsWrong } from './report.js'

type Row = readonly [label: string, value: string, remark?: string]

/** The report for a terminal: plain text, lines of at most about 100 columns, ending with the verdict. */
export function renderReport(report: PlantReport): string {
  const wrong = whatIsWrong(report)
  const rows: Row[] = [
    ['sent', number(report.sent)],
    ['acked', number(report.acked), `p50 ${ms(report.ackMs.p50)}, p99 ${ms(report.ackMs.p99)}`],
    ['durable', number(report.durable), `${number(Math.round(report.eventsPerSecond))} events/s`],
    ['missing', number(report.ackedMissing), 'acknowledged, not in the log'],
    ['duplicated', number(report.duplicated)],
    ['out of order', number(report.outOfOrder)],
    ...(report.torn === undefined ? [] : [['torn', number(report.torn)] as const]),
    ...triedRows(report),
    ...(report.bytesPerEvent === undefined ? [] : [['bytes per event', report.bytesPerEvent.toFixed(1)] as const]),
    ...(report.busRttNs === undefined ? [] : [['bus round trip', `${number(Math.round(report.busRttNs))} ns`] as const]),
    ['state hash, live', report.stateHash.live],
    ['state hash, replayed', report.stateHash.replayed, report.stateHash.live === report.stateHash.replayed ? 'equal' : 'DIFFERENT'],
  ]
  const verdict =
    wrong.length === 0 ? ['clean: nothing acknowledged is missing, doubled, torn or out of order'] : wrong.map((what) => `WRONG: ${what}`)
  const health = report.health === undefined ? [] : [`health: ${report.health}`]
  return [...facts(rows), '', ...faultLines(report), ...recoveryLines(report), '', ...verdict, ...health, ''].join('\n')
}

function facts(rows: readonly Row[]): string[] {
  const labelWidth = Math.max(...rows.map(([label]) => label.length))
  const valueWidth = Math.max(...rows.map(([, value]) => (value.length < 20 ? value.length : 0)))
  return rows.map(
    ([label, value, remark]) => `${label.padEnd(labelWidth)}  ${value.padStart(valueWidth)}${remark === undefined ? '' : `  ${remark}`}`,
  )
}

/** What a drill tried out besides what devices send. */
function triedRows({ timers, supervision }: PlantReport): Row[] {
  const rows: Row[] = []
  if (timers !== undefined) {
    const { set, cancelled, wentOff, lateMs } = timers
    const came = `${number(cancelled)} cancelled, ${number(wentOff)} times one went off`
    rows.push(['timers', number(set), `${came}, late p50 ${ms(lateMs.p50)}, max ${ms(lateMs.max)}`])
  }
  if (supervision !== undefined) {
    const { errors, trees, restarted, resumed, escalated } = supervision
    const came = `${number(restarted)} restarts, ${number(resumed)} went on, ${number(escalated)} escalated`
    rows.push(['children erred', number(errors), `in ${number(trees)} trees of supervision: ${came}`])
  }
  return rows
}

/** One line for each kind, with how it was done: some have a stand-in. */
function faultLines({ faults = [] }: PlantReport): string[] {
  if (faults.length === 0) return []
  const rows = faults.map(({ kind, count, skipped }) => [kind, '', String(count), String(skipped)])
  const [head = '', ...lines] = table([['fault', '', 'done', 'skipped'], ...rows])
  const remarks = faults.map(({ how, reasons }) => [how, ...reasons.map((reason) => `skipped: ${reason}`)].flatMap(wrapped))
  const indent = ' '.repeat(head.length)
  return [head, ...remarks.flatMap((texts, fault) => texts.map((text, part) => `${part === 0 ? lines[fault] : indent}  ${text}`)), '']
}

/** Lines of at most 68 characters, broken between words. */
function wrapped(text: string): string[] {
  return text.match(/.{1,68}(?= |$)|\S+/g)?.map((line) => line.trim()) ?? []
}

/** One line for each recovery while they are few; beyond that one per seat and cause with the percentiles, since twenty kills say the same thing. */
function recoveryLines(report: PlantReport): string[] {
  if (report.recoveries.length === 0) return ['no process had to be replaced']
  const phases = [...new Set(report.recoveries.flatMap((recovery) => Object.keys(recovery.phases)))].sort(byPhaseOrder)
  const head = ['recovery', 'cause', 'times', 'rto', ...phases, 'entities', 'events']
  const body = grouped(report.recoveries).map((group) => {
    const first = group[0] as Recovery
    return [
      first.process,
      first.cause,
      String(group.length),
      ms(median(group.map((recovery) => recovery.rtoMs))),
      ...phases.map((phase) => ms(median(group.map((recovery) => recovery.phases[phase] ?? 0)))),
      number(median(group.map((recovery) => recovery.entities))),
      number(median(group.map((recovery) => recovery.events))),
    ]
  })
  const { p50, p99, max } = report.rtoMs
  return [...table([head, ...body]), `recovery time over all: p50 ${ms(p50)}, p99 ${ms(p99)}, max ${ms(max)}`]
}

function grouped(recoveries: readonly Recovery[]): Recovery[][] {
  if (recoveries.length <= 8) return recoveries.map((recovery) => [recovery])
  const groups = new Map<string, Recovery[]>()
  for (const recovery of recoveries) {
    const key = `${recovery.process} ${recovery.cause}`
    groups.set(key, [...(groups.get(key) ?? []), recovery])
  }
  return [...groups.values()]
}

const PHASE_ORDER = ['noticed', 'reaped', 'started', 'ready']

function byPhaseOrder(a: string, b: string): number {
  return rankOf(a) - rankOf(b)
}

function rankOf(phase: string): number {
  const rank = PHASE_ORDER.indexOf(phase)
  return rank < 0 ? PHASE_ORDER.length : rank
}

function table(rows: readonly (readonly string[])[]): string[] {
  const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)))
  return rows.map((row) =>
    row.map((cell, column) => (column < 2 ? cell.padEnd(widths[column] ?? 0) : cell.padStart(widths[column] ?? 0))).join('  '),
  )
}

function median(values: number[]): number {
  return percentile(
    values.sort((a, b) => a - b),
    0.5,
  )
}

function ms(value: number): string {
  return `${value >= 100 ? value.toFixed(0) : value.toFixed(1)} ms`
}

function number(value: number): string {
  return Math.round(value).toLocaleString('en-US')
}
