import { mkdir, open, readFile, rename } from 'node:fs/promises'
import { join } from 'node:path'
import { z } from 'zod'
import { messageOf, MillraceError } from '#base/errors.js'

/** How far a file was taken, and what came of it. Everything up to `row` is durable or in the reject file. */
export interface IngestCheckpoint {
  readonly version: 1
  /** For a person who looks into the file. */
  readonly path: string
  readonly source: string
  readonly row: number
  readonly offset: number
  readonly line: number
  readonly crc: number
  readonly isOpen: boolean
  readonly accepted: number
  readonly rejected: number
}

/** Where checkpoints are kept, by name. A save replaces the old one as a whole and resolves once it is durable. */
export interface CheckpointStore {
  load(name: string): Promise<IngestCheckpoint | undefined>
  save(name: string, checkpoint: IngestCheckpoint): Promise<void>
}

const count = z.number().int().min(0)
const checkpointSpec = z.object({
  version: z.literal(1),
  path: z.string(),
  source: z.string(),
  row: count,
  offset: count,
  line: count,
  crc: count,
  isOpen: z.boolean(),
  accepted: count,
  rejected: count,
})

/**
 * Checkpoints as small JSON files `NAME.json` in a directory, which is made with mode 0700 when it is not there; files are 0600. A crash or a
 * power loss leaves the old or the new one. `load` throws ERR_CHECKPOINT_DAMAGED for a file that is no checkpoint.
 */
export function fileCheckpointStore(directory: string): CheckpointStore {
  const pathOf = (name: string) => join(directory, `${name}.json`)
  return {
    async load(name) {
      const path = pathOf(name)
      let text: string
      try {
        text = await readFile(path, 'utf8')
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
        throw error
      }
      try {
        return checkpointSpec.parse(JSON.parse(text))
      } catch (cause) {
        throw new MillraceError('ERR_CHECKPOINT_DAMAGED', {
          fact: 'the checkpoint of an ingest cannot be read',
          action: 'operator',
          values: { file: path, error: messageOf(cause).slice(0, 120) },
          next: 'remove it to start from the first row: rows that are in the log already are not taken twice',
          cause,
        })
      }
    },
    async save(name, checkpoint) {
      await mkdir(directory, { recursive: true, mode: 0o700 })
      const path = pathOf(name)
      const next = await open(`${path}.next`, 'w', 0o600)
      try {
        await next.writeFile(`${JSON.stringify(checkpoint, undefined, 2)}\n`)
        await next.sync()
      } finally {
        await next.close()
      }
      await rename(`${path}.next`, path)
      const parent = await open(directory, 'r')
      try {
        await parent.sync()
      } finally {
        await parent.close()
      }
    },
  }
}
