import { closeSync, existsSync, fsyncSync, mkdirSync, openSync, readdirSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { basename, dirname, join, resolve } from 'node:path'
import { MillraceError } from '#base/errors.js'
import { guarded } from './part-file.js'

/** In every folder that an export made: what it holds. Its presence says that the folder is whole, and that it is one of ours. */
export const EXPORT_FILE = 'export.json'
/** In the folder while it is being made. */
const MARK = '.millrace-export'

/**
 * Where an export goes: a file, or a folder. It is made beside as `NAME.part` and renamed once everything in it is durable, so that what has the name is
 * whole. A crash leaves the part, which the next export to the same place replaces.
 */
export class ExportPlace {
  readonly path: string
  /** The file or the folder to write to meanwhile. */
  readonly part: string
  readonly #isFolder: boolean

  /** Throws ERR_EXPORT_EXISTS when something is there and may not be replaced: only with `isForced`, and a folder only when an export made it. */
  constructor(path: string, isFolder: boolean, isForced: boolean) {
    this.path = resolve(path)
    this.part = `${this.path}.part`
    this.#isFolder = isFolder
    if (existsSync(this.path)) this.#checkOld(isForced)
    this.#removePart()
    if (isFolder) {
      guarded(this.part, () => {
        mkdirSync(this.part, { recursive: true, mode: 0o700 })
        writeFileSync(join(this.part, MARK), '', { mode: 0o600 })
      })
    } else guarded(this.part, () => mkdirSync(dirname(this.part), { recursive: true }))
  }

  /** Path of a file of the folder while it is made. */
  file(name: string): string {
    return join(this.part, name)
  }

  /** Gives the finished export its name. Durable when it returns. */
  finish(): void {
    guarded(this.path, () => {
      if (this.#isFolder) {
        rmSync(join(this.part, MARK), { force: true })
        syncDirectory(this.part)
        // What is replaced stays until the new one has the name; a crash in between leaves it as NAME.old.
        const old = `${this.path}.old`
        rmSync(old, { recursive: true, force: true })
        if (existsSync(this.path)) renameSync(this.path, old)
        renameSync(this.part, this.path)
        syncDirectory(dirname(this.path))
        rmSync(old, { recursive: true, force: true })
      } else {
        renameSync(this.part, this.path)
        syncDirectory(dirname(this.path))
      }
    })
  }

  /** Leaves nothing behind. */
  abandon(): void {
    rmSync(this.part, { recursive: true, force: true })
  }

  #checkOld(isForced: boolean): void {
    const isFolder = statSync(this.path).isDirectory()
    if (isFolder !== this.#isFolder) throw exists(this.path, `is a ${isFolder ? 'folder' : 'file'}`, 'name another place')
    if (isFolder && readdirSync(this.path).length === 0) return
    if (!isForced) throw exists(this.path, 'is there already', 'name another place, or replace it with --force')
    if (isFolder && !existsSync(join(this.path, EXPORT_FILE)))
      throw exists(this.path, 'is a folder that no export made', 'name another place: only what an export made is replaced')
  }

  #removePart(): void {
    if (!existsSync(this.part)) return
    const isOurs = statSync(this.part).isFile() || existsSync(join(this.part, MARK)) || existsSync(join(this.part, EXPORT_FILE))
    if (!isOurs) throw exists(this.part, 'is in the way', `move ${basename(this.part)} elsewhere`)
    rmSync(this.part, { recursive: true })
  }
}

function syncDirectory(path: string): void {
  const directory = openSync(path, 'r')
  try {
    fsyncSync(directory)
  } finally {
    closeSync(directory)
  }
}

function exists(path: string, what: string, next: string): MillraceError {
  return new MillraceError('ERR_EXPORT_EXISTS', { fact: `the place for the export ${what}`, action: 'operator', values: { path }, next })
}
