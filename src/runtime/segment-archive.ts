import { createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { copyFile, mkdir, open, rename, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { pipeline } from 'node:stream/promises'
import { MillraceError, messageOf } from '#base/errors.js'

/**
 * Puts a copy of a sealed segment into another directory, made when it is not there and its parent is, and reads it back. Durable when it resolves; a crash leaves at most a
 * file that ends in `.part`. A whole copy that is there already is left alone. Throws ERR_ARCHIVE.
 */
export async function archiveSegment(file: string, name: string, archive: string): Promise<void> {
  const target = join(archive, name)
  const draft = `${target}.part`
  try {
    if (!(await exists(archive))) await mkdir(archive, { mode: 0o700 })
    const wanted = await hashOf(file)
    if ((await exists(target)) && wanted.equals(await hashOf(target))) return
    await copyFile(file, draft)
    await sync(draft)
    if (!wanted.equals(await hashOf(draft))) throw new Error('the copy is not what was copied')
    await rename(draft, target)
    await sync(archive)
  } catch (cause) {
    throw new MillraceError('ERR_ARCHIVE', {
      fact: 'a segment could not be archived, and stays in the log',
      action: 'operator',
      values: { segment: name, archive, why: messageOf(cause) },
      next: 'look at the archive directory: retention tries again by itself',
      cause,
    })
  }
}

async function hashOf(file: string): Promise<Buffer> {
  const hash = createHash('sha256')
  await pipeline(createReadStream(file), hash)
  return hash.digest()
}

async function exists(file: string): Promise<boolean> {
  return stat(file).then(
    () => true,
    () => false,
  )
}

async function sync(path: string): Promise<void> {
  const handle = await open(path, 'r')
  try {
    await handle.sync()
  } finally {
    await handle.close()
  }
}
