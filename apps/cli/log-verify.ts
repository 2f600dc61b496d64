import { MillraceError, isMillraceError } from '#base/errors.js'
import type { Finding } from '#journal/index.js'
import { JournalAccess } from '#runtime/journal-access.js'
import type { Run } from './command.js'
import type { Output } from './output.js'
import { dataDirectoryOf } from './place.js'

const ENTITIES_SHOWN = 20

/** Reads the whole log and checks everything there is to check; exit code 1 when something is damaged, naming segment, block and entities. */
export const runLogVerify: Run = async (_args, options, output) => {
  const dataDirectory = dataDirectoryOf(options)
  const access = await JournalAccess.open(dataDirectory, { isForVerify: true })
  const findings: Finding[] = []
  let progress: ReturnType<Output['progress']> | undefined
  try {
    for await (const item of access.verify()) {
      if (item.kind === 'finding') findings.push(item.finding)
      else {
        progress ??= output.progress(item.total, 'bytes')
        progress.update(item.done)
      }
    }
  } catch (error) {
    if (!isMillraceError(error, 'ERR_CONTROL_LOST')) throw error
    throw new MillraceError('ERR_LOG_DAMAGED', {
      fact: 'the process that read the log was killed by it, so that a page of its store is damaged',
      action: 'operator',
      values: { data: dataDirectory },
      next: 'restore a backup, or keep a copy of the directory before anything else',
      cause: error,
    })
  } finally {
    progress?.stop()
    await access.close()
  }
  const damaged = findings.filter(({ severity }) => severity === 'damaged')
  if (output.isJson) output.json({ ok: damaged.length === 0, findings })
  else {
    for (const finding of findings) show(finding, output)
    output.line(
      damaged.length === 0 ? 'The log is whole.' : `The log is damaged in ${damaged.length} ${damaged.length === 1 ? 'place' : 'places'}.`,
    )
  }
  return damaged.length === 0 ? 0 : 1
}

function show(finding: Finding, output: Output): void {
  const where = finding.block === undefined ? `segment ${finding.segment}` : `segment ${finding.segment} block ${finding.block}`
  output.line(`${output.tone(finding.severity === 'damaged' ? 'red' : 'yellow', finding.severity)}: ${where}: ${finding.what}`)
  if (finding.entities.length === 0) return
  const more = finding.entities.length - ENTITIES_SHOWN
  output.line(`  entities: ${finding.entities.slice(0, ENTITIES_SHOWN).join(', ')}${more > 0 ? ` and ${more} more` : ''}`)
}
