import { mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, onTestFinished, test } from 'vitest'
import { DrillHistory } from '#drills/drill-history.js'
import { drillReport } from '../recovery/sample-report.js'

const AT = 1_767_225_600_000_000

describe('the history of drills', () => {
  test('gives the newest run of the same name and number of machines', () => {
    const { history } = historyIn()
    const runs = [
      { at: AT, name: 'chaos', machines: 10, report: drillReport() },
      { at: AT + 1, name: 'chaos', machines: 10, report: { ...drillReport(), sent: 101 } },
      { at: AT + 2, name: 'chaos', machines: 20, report: drillReport() },
      { at: AT + 3, name: 'kill worker', machines: 10, report: drillReport() },
    ]
    for (const run of runs) history.add(run)

    expect(history.last('chaos', 10)).toEqual(runs[1])
    expect(history.last('demo', 10)).toBeUndefined()
  })

  test('keeps the newest files, for the user alone', () => {
    const { history, directory } = historyIn(3)

    for (let run = 0; run < 5; run++) history.add({ at: AT + run, name: 'chaos', machines: 1, report: drillReport() })

    expect(readdirSync(directory).sort()).toEqual([2, 3, 4].map((run) => `${AT + run}.json`))
    expect(statSync(join(directory, `${AT + 4}.json`)).mode & 0o777).toBe(0o600)
    expect(statSync(directory).mode & 0o777).toBe(0o700)
  })

  test('passes over what is no record', () => {
    const { history, directory } = historyIn()
    history.add({ at: AT, name: 'chaos', machines: 1, report: drillReport() })
    writeFileSync(join(directory, `${AT + 1}.json`), '{"name":"chaos","machines":1,"report":{"sent":-1}}')
    writeFileSync(join(directory, `${AT + 2}.json`), 'not JSON')
    writeFileSync(join(directory, 'notes.txt'), 'mine')

    expect(history.last('chaos', 1)?.at).toBe(AT)
  })
})

function historyIn(filesKept?: number) {
  const folder = mkdtempSync(join(tmpdir(), 'millrace-history-'))
  onTestFinished(() => rmSync(folder, { recursive: true }))
  const directory = join(folder, 'drills')
  return { history: new DrillHistory(directory, filesKept), directory }
}
