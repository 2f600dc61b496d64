import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { PlantReport } from '#recovery/report.js'
import { parseReport } from '#recovery/report-schema.js'
import { type CliResult, runCli } from './cli/run-cli.js'
import { livingProcesses } from './plant-folder.js'

export interface RanDrill extends CliResult {
  readonly report: PlantReport
  /** Processes that the command left. */
  readonly left: readonly unknown[]
}

/** A demo or drill in a folder for temporary files of its own, by which its processes are known. Its report is held against the schema. */
export async function ranDrill(words: readonly string[], env: Readonly<Record<string, string>> = {}): Promise<RanDrill> {
  const folder = mkdtempSync(join(tmpdir(), 'millrace-drilled-'))
  try {
    const result = await runCli(words, { env: { ...env, TMPDIR: folder } })
    const isReport = words.includes('--json') && !result.stdout.includes('"error"')
    return { ...result, report: isReport ? parseReport(JSON.parse(result.stdout)) : ({} as PlantReport), left: livingProcesses(folder) }
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}
