import { isClean, type Incident, percentile, type PlantReport, type Recovery, type Timeline, whatIsWrong } from '#recovery/report.js'
import { escaped, histogram, stripPlot, timePlot } from './svg-plot.js'

/**
 * A report as one page of HTML without anything from outside: for a browser of today, light and dark, wide and narrow, and for paper. The same report
 * gives the same page.
 */
export function renderReportPage(report: PlantReport): string {
  const wrong = whatIsWrong(report)
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Millrace drill: ${escaped(report.health ?? (isClean(report) ? 'clean' : 'wrong'))}</title>
<style>${STYLE}</style>
</head>
<body>
<header>
<h1>Millrace drill</h1>
${report.health === undefined ? '' : `<p class="health ${escaped(report.health.toLowerCase())}">${escaped(report.health)}</p>`}
</header>
<main>
${verdict(wrong)}
${figures(report)}
${faults(report)}
${recoveries(report.recoveries)}
${incidents(report.incidents ?? [])}
<section>
<h2>State</h2>
<p>SHA-256 over the states of all entities, as the workers held them and as a replay of the log folds them.</p>
<dl class="hash"><dt>live</dt><dd><code>${escaped(report.stateHash.live)}</code></dd><dt>replayed</dt><dd><code>${escaped(report.stateHash.replayed)}</code></dd></dl>
</section>
</main>
</body>
</html>
`
}

function verdict(wrong: readonly string[]): string {
  if (wrong.length === 0) return '<p class="verdict good">Nothing that was acknowledged is missing, doubled, torn or out of order.</p>'
  return `<ul class="verdict bad">${wrong.map((one) => `<li>${escaped(one)}</li>`).join('')}</ul>`
}

function figures(report: PlantReport): string {
  const { rtoMs, ackMs } = report
  const tiles: readonly (readonly [label: string, value: string, remark: string])[] = [
    ['missing', whole(report.ackedMissing), 'acknowledged, not in the log'],
    ['duplicated', whole(report.duplicated), 'in the log more than once'],
    ['out of order', whole(report.outOfOrder), 'behind a later one'],
    ...(report.torn === undefined ? [] : [['torn', whole(report.torn), 'with other values than were sent'] as const]),
    ...triedTiles(report),
    ['acknowledged', whole(report.acked), `of ${whole(report.sent)} sent`],
    ['events/s', whole(report.eventsPerSecond), 'acknowledged over the whole run'],
    ['ack p50', ms(ackMs.p50), `p99 ${ms(ackMs.p99)}`],
    ['recoveries', whole(report.recoveries.length), report.recoveries.length === 0 ? 'nobody died' : `the longest ${ms(rtoMs.max)}`],
    ['recovery p50', ms(rtoMs.p50), `p99 ${ms(rtoMs.p99)}`],
  ]
  const shown = tiles.map(
    ([label, value, remark]) => `<div class="tile"><b>${escaped(value)}</b><span>${escaped(label)}</span><i>${escaped(remark)}</i></div>`,
  )
  return `<section class="tiles">${shown.join('')}</section>`
}

function triedTiles({ timers, supervision }: PlantReport): (readonly [label: string, value: string, remark: string])[] {
  return [
    ...(timers === undefined ? [] : [['timers went off', whole(timers.wentOff), `late at worst ${ms(timers.lateMs.max)}`] as const]),
    ...(supervision === undefined ? [] : [['children erred', whole(supervision.errors), `in ${whole(supervision.trees)} trees`] as const]),
  ]
}

function faults({ faults: counts }: PlantReport): string {
  if (counts === undefined || counts.length === 0) return ''
  const rows = counts.map(({ kind, count, skipped, reasons, how }) => {
    const why = reasons.map((reason) => `<br><em>skipped: ${escaped(reason)}</em>`).join('')
    return `<tr><th scope="row">${escaped(kind)}</th><td class="number">${count}</td><td class="number">${skipped}</td><td>${escaped(how)}${why}</td></tr>`
  })
  return `<section>
<h2>Faults</h2>
<div class="wide"><table><thead><tr><th>kind</th><th class="number">done</th><th class="number">skipped</th><th>how</th></tr></thead><tbody>${rows.join('')}</tbody></table></div>
</section>`
}

function recoveries(all: readonly Recovery[]): string {
  if (all.length === 0) return ''
  const seats = [...new Set(all.map(({ process }) => process))].sort()
  const rows = seats.map((seat) => {
    const times = all.filter(({ process }) => process === seat).map(({ rtoMs }) => rtoMs)
    const sorted = times.sort((a, b) => a - b)
    const cells = [percentile(sorted, 0.5), percentile(sorted, 0.99), sorted.at(-1) ?? 0].map(
      (value) => `<td class="number">${ms(value)}</td>`,
    )
    return `<tr><th scope="row">${escaped(seat)}</th><td class="number">${sorted.length}</td>${cells.join('')}</tr>`
  })
  return `<section>
<h2>Recovery times</h2>
<p>From the first sign of a death until the seat works again; of the supervisor and the whole plant, from the kill until every seat works.</p>
<figure><figcaption>how many recoveries took how long</figcaption>${histogram(
    'Distribution of the recovery times',
    all.map(({ rtoMs }) => rtoMs),
  )}</figure>
<figure><figcaption>each of them, by seat</figcaption>${stripPlot(
    'Recovery times by seat',
    [...all].sort((a, b) => a.process.localeCompare(b.process)).map(({ process, rtoMs }) => ({ row: process, value: rtoMs })),
  )}</figure>
<div class="wide"><table><thead><tr><th>seat</th><th class="number">times</th><th class="number">p50</th><th class="number">p99</th><th class="number">max</th></tr></thead><tbody>${rows.join('')}</tbody></table></div>
</section>`
}

function incidents(all: readonly Incident[]): string {
  if (all.length === 0) return ''
  const shown = all.flatMap((incident) => (incident.timeline === undefined ? [] : [around(incident, incident.timeline)]))
  const missing = all.length - shown.length
  return `<section>
<h2>Around each fault</h2>
<p>Acknowledged commands a second, and how long an acknowledgement took from when its command was due, on the sending side; the band is the fault until the plant served again.${
    missing === 0 ? '' : ` Shown are the longest of each kind; ${whole(missing)} more are not.`
  }</p>
<div class="incidents">${shown.join('\n')}</div>
</section>`
}

function around({ kind, process, atMs, endMs, quietMs, replaced }: Incident, timeline: Timeline): string {
  const { fromMs, bucketMs, acked, ackP50Ms, ackP99Ms } = timeline
  const name = `${kind} ${process} at ${(atMs / 1000).toFixed(1)} s`
  const common = { fromMs, bucketMs, marked: [atMs, endMs] as const }
  const rate = timePlot({
    ...common,
    title: `Throughput around ${name}`,
    unit: 'acked/s',
    series: [{ label: 'acked/s', kind: 'bars', tone: 'a', values: acked.map((count) => (count * 1000) / bucketMs) }],
    isLogarithmic: false,
  })
  const latency = timePlot({
    ...common,
    title: `Acknowledgement times around ${name}`,
    unit: 'ms',
    series: [
      { label: 'p50', kind: 'line', tone: 'b', values: ackP50Ms },
      { label: 'p99', kind: 'line', tone: 'c', values: ackP99Ms },
    ],
    isLogarithmic: true,
  })
  const told = `${ms(endMs - atMs)} until the plant served again, the longest silence ${ms(quietMs)}, ${whole(replaced)} replaced`
  return `<article><h3>${escaped(kind)} <small>${escaped(process)} at ${(atMs / 1000).toFixed(1)} s</small></h3><p>${escaped(told)}</p>${rate}${latency}</article>`
}

function ms(value: number): string {
  return `${value >= 100 ? value.toFixed(0) : value.toFixed(1)} ms`
}

function whole(value: number): string {
  return Math.round(value).toLocaleString('en-US')
}

const STYLE = `
:root{color-scheme:light dark;--paper:#fbfbf9;--card:#fff;--ink:#1c2126;--soft:#66707a;--rule:#dfe3e6;--a:#3b7dd8;--b:#1f9d76;--c:#d9822b;--fault:#d6453d22;--good:#1f9d76;--fair:#b58900;--bad:#c9372c}
@media (prefers-color-scheme:dark){:root{--paper:#14181c;--card:#1c2227;--ink:#e6e9ec;--soft:#98a3ad;--rule:#323a41;--a:#6ba4f0;--b:#4cc9a0;--c:#f0a85a;--fault:#f0685f33;--good:#4cc9a0;--fair:#e0b84a;--bad:#f0685f}}
*{box-sizing:border-box}
body{margin:0;background:var(--paper);color:var(--ink);font:16px/1.5 system-ui,sans-serif}
header,main{max-width:70rem;margin:0 auto;padding:1rem}
header{display:flex;align-items:center;gap:1rem;flex-wrap:wrap}
h1{font-size:1.5rem;margin:0}
h2{font-size:1.2rem;margin:2rem 0 .5rem}
h3{font-size:1rem;margin:0}
h3 small,figcaption,article p,.tile i{color:var(--soft);font-weight:400;font-style:normal;font-size:.85rem}
p{margin:.25rem 0 .75rem}
.health{margin:0;padding:.1rem .8rem;border-radius:1rem;border:2px solid currentColor;font-weight:700}
.excellent,.good{color:var(--good)}.degraded{color:var(--fair)}.poor,.bad{color:var(--bad)}
.verdict{font-weight:600}
.tiles{display:grid;grid-template-columns:repeat(auto-fit,minmax(9.5rem,1fr));gap:.75rem}
.tile,article,figure{background:var(--card);border:1px solid var(--rule);border-radius:.5rem;padding:.75rem}
.tile b{display:block;font-size:1.4rem;font-variant-numeric:tabular-nums}
.tile span,.tile i{display:block}
figure{margin:0 0 .75rem}
.wide{overflow-x:auto}
table{border-collapse:collapse;width:100%;font-size:.9rem}
th,td{text-align:left;padding:.35rem .6rem;border-bottom:1px solid var(--rule);vertical-align:top}
.number{text-align:right;font-variant-numeric:tabular-nums;white-space:nowrap}
.incidents{display:grid;grid-template-columns:repeat(auto-fill,minmax(min(100%,26rem),1fr));gap:.75rem}
article p{margin:.1rem 0 .4rem}
svg{display:block;width:100%;height:auto}
svg text{fill:var(--soft);font:11px system-ui,sans-serif}
.grid{stroke:var(--rule)}
.fault{fill:var(--fault)}
.bar.a{fill:var(--a)}
.line{fill:none;stroke-width:1.8;stroke-linecap:round;stroke-linejoin:round}
.line.b{stroke:var(--b)}.line.c{stroke:var(--c)}.key{font-weight:700}.key.b{fill:var(--b)}.key.c{fill:var(--c)}
.dot{fill:var(--a);fill-opacity:.55}
.hash dd{margin:0 0 .5rem;overflow-wrap:anywhere}
@media print{article,figure,.tile{break-inside:avoid}}
`
