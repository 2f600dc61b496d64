import { existsSync, mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { MillraceError } from '#base/errors.js'
import { inferMap } from '#ingest/infer.js'
import type { Run } from './command.js'
import { textOption } from './place.js'

/** Proposes a map, an entity and a plant for a CSV file: printed, or written with `--write`, never over a file that is there. */
export const runInfer: Run = async ([file = ''], options, output) => {
  const inferred = await inferMap(file)
  const folder = textOption(options, 'into') ?? '.'
  const files = [
    { path: join(folder, inferred.mapName), text: inferred.mapText },
    { path: join(folder, inferred.entityName), text: inferred.entityText },
    { path: join(folder, inferred.plantName), text: inferred.plantText },
  ]
  if (options['write'] !== true) {
    if (output.isJson) output.json({ ...inferred, written: false })
    else {
      for (const { path, text } of files) output.line(`${output.tone('bold', `# ${path}`)}\n${text}`)
      output.note(`From ${inferred.rowCount} rows of ${inferred.columnCount} columns. Nothing is written; --write writes these files.`)
    }
    return 0
  }
  const taken = files.find(({ path }) => existsSync(path))
  if (taken !== undefined) {
    throw new MillraceError('ERR_FILE_EXISTS', {
      fact: 'a file of the proposal is there already',
      action: 'operator',
      values: { file: taken.path },
      next: 'move it away, or name another folder with --into',
    })
  }
  mkdirSync(folder, { recursive: true })
  for (const { path, text } of files) writeFileSync(path, text, { flag: 'wx' })
  const written = files.map(({ path }) => path)
  if (output.isJson)
    output.json({ written, rowCount: inferred.rowCount, columnCount: inferred.columnCount, entityType: inferred.entityType })
  else {
    output.line(`Written from ${inferred.rowCount} rows: ${written.join(', ')}`)
    output.line(`Look at them, then: millrace ingest csv ${file} --map ${written[0]}`)
  }
  return 0
}
