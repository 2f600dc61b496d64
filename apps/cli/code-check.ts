import { isMillraceError, MillraceError } from '#base/errors.js'
import { checkCode, type CodeReport } from '#runtime/code-check.js'
import type { CodeProblem } from '#runtime/code-problem.js'
import { JournalAccess } from '#runtime/journal-access.js'
import { plantFileOf } from '#runtime/plant-session.js'
import type { Run } from './command.js'
import type { Output } from './output.js'
import { dataDirectoryOf, textOption } from './place.js'

/** Folds the log with the plant's own code under changed conditions; exit code 1 when a state depends on more than its events, naming the first that shows it. */
export const runCodeCheck: Run = async ([file], options, output) => {
  const dataDirectory = dataDirectoryOf(options)
  const plantFile = plantFileIn(dataDirectory, file)
  const asked = textOption(options, 'entity')
  const entity = asked === undefined || /[*/]/.test(asked) ? asked : `${asked}/*`
  const access = await JournalAccess.open(dataDirectory)
  let progress: ReturnType<Output['progress']> | undefined
  try {
    const report = await checkCode({
      access,
      dataDirectory,
      plantFile,
      entity,
      onProgress: (done, total) => {
        progress ??= output.progress(total, 'rows', { isRated: true })
        progress.update(done)
      },
    })
    progress?.stop()
    if (output.isJson) output.json(report)
    else show(report, output)
    return report.ok ? 0 : 1
  } finally {
    progress?.stop()
    await access.close()
  }
}

/** Throws ERR_NO_PLANT. */
function plantFileIn(dataDirectory: string, file: string | undefined): string {
  try {
    return plantFileOf({ dataDirectory, plantFile: file })
  } catch (error) {
    if (!isMillraceError(error, 'ERR_NO_PLANT')) throw error
    throw new MillraceError('ERR_NO_PLANT', {
      fact: file === undefined ? 'no plant that is still there has run on this data directory' : 'the plant module is not there',
      action: 'operator',
      values: { data: dataDirectory, ...error.values },
      next: 'name the plant module, as in millrace code check plant.js',
      cause: error,
    })
  }
}

function show(report: CodeReport, output: Output): void {
  for (const problem of report.problems) showProblem(problem, output)
  const { events, entities, conditions, problems, passedOver, fenced, snapshots, snapshotsPassedOver } = report
  const types = new Set(problems.map(({ type }) => type)).size
  const outcome = types === 0 ? 'the same' : `${types} entity ${types === 1 ? 'type is' : 'types are'} not`
  output.line(
    `${count(events, 'event')} of ${count(entities, 'entity', 'entities')} folded under ${conditions.length} conditions: ${outcome}`,
  )
  if (snapshots > 0) output.note(`${count(snapshots, 'snapshot')} compared with what the events come to`)
  if (snapshotsPassedOver > 0)
    output.note(`${count(snapshotsPassedOver, 'snapshot')} passed over: made under other events or another stateVersion`)
  if (passedOver > 0) output.note(`${count(passedOver, 'row')} passed over: of types that the plant does not have`)
  if (fenced > 0) output.note(`${count(fenced, 'entity', 'entities')} folded only up to rows that log repair gave up`)
}

function showProblem(problem: CodeProblem, output: Output): void {
  const { kind, type, entity, version, event, fields, message, entities, next } = problem
  const at = event === 'initial' ? 'initial' : `version ${version}${event === null ? '' : ` (${event})`}`
  output.line(`${output.tone('red', type)}: ${output.tone('bold', entity)} ${at}: ${message}`)
  const [one, other] = kind === 'snapshot' ? ['the events', 'the snapshot'] : ['one fold', 'the other']
  for (const { path, expected, got } of fields) output.line(`  ${path}: ${expected} in ${one}, ${got} in ${other}`)
  if (entities > 1) output.line(`  the first of ${count(entities, 'entity', 'entities')} of this type`)
  output.line(`  ${next}`)
}

function count(value: number, one: string, many = `${one}s`): string {
  return `${value.toLocaleString('en-US')} ${value === 1 ? one : many}`
}
