import { mkdir, open, readFile, rename, rm } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { DATA_FILE, openEnvironment } from './environment.js'

/**
 * An empty environment made ahead, so that a new segment begins without waiting for the disk. It lies under the name of a draft until it is taken: a
 * crash leaves it behind, for opening to remove.
 */
export class SpareEnvironment {
  #making: Promise<string | undefined> | undefined

  /** Makes one at `path`, in the background, unless there is one. That it cannot be made shows when it is not there to be taken. */
  make(path: string): void {
    this.#making ??= makeEmpty(path).then(
      () => path,
      () => undefined,
    )
  }

  /** Gives it the name under which it is to be opened, durably. Does nothing when there is none: then opening makes one. */
  async take(directory: string): Promise<void> {
    const path = await this.#making
    this.#making = undefined
    if (path === undefined) return
    try {
      await rename(path, directory)
    } catch {
      return
    }
    await sync(dirname(directory))
  }

  /** Takes away what nobody took. */
  async close(): Promise<void> {
    const path = await this.#making
    this.#making = undefined
    if (path !== undefined) await rm(path, { recursive: true, force: true })
  }
}

/** What the data file of an empty environment has in it. */
let emptyFile: Uint8Array | undefined

async function makeEmpty(path: string): Promise<void> {
  await rm(path, { recursive: true, force: true })
  if (emptyFile === undefined) {
    await (await openEnvironment(path, { isReadOnly: false, mapBytes: 1 << 20 })).close()
    emptyFile = await readFile(join(path, DATA_FILE))
    return
  }
  await mkdir(path, { mode: 0o700 })
  const file = await open(join(path, DATA_FILE), 'wx', 0o600)
  try {
    await file.writeFile(emptyFile)
    await file.sync()
  } finally {
    await file.close()
  }
  await sync(path)
}

async function sync(directory: string): Promise<void> {
  const handle = await open(directory, 'r')
  try {
    await handle.sync()
  } finally {
    await handle.close()
  }
}
