import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { exactJson } from '#base/exact-json.js'
import { MillraceError } from '#base/errors.js'
import { hash32 } from '#base/hash.js'
import { replaceFileSync } from '#processes/durable-file.js'

/** A command that is not executed any more, since it ended one worker after the other. Plain JSON; its file in `<data>/parked` is named after its id. */
export interface ParkedCommand {
  /** Of the entity and the command's source and sequence: the same command gets the same. */
  readonly id: string
  /** When it was parked, microseconds since 1970. */
  readonly parkedAt: number
  readonly entity: string
  readonly command: string
  /** For people: JSON has no NaN and no bytes. */
  readonly data: unknown
  /** The data as it was, packExact in base64. */
  readonly packed: string
  readonly source: string
  readonly sequence: number
  /** When it happened, microseconds since 1970. */
  readonly at: number | undefined
  /** The worker's slot, and how each of its processes ended over the command. */
  readonly worker: number
  readonly causes: readonly string[]
  /** The sequence under which it is sent when it is tried again: the next one once that has failed. */
  readonly retry: number
}

const ID = /^[0-9a-f]{8}$/
const utf8 = new TextEncoder()

/** The commands that a data directory's plant has parked, each in a file of its own. May be read and changed beside a running plant. */
export class ParkedCommands {
  readonly #directory: string

  constructor(dataDirectory: string) {
    this.#directory = join(dataDirectory, 'parked')
  }

  /** Durable when it returns. Errors of the file system come through as they are. */
  add(command: Omit<ParkedCommand, 'id' | 'retry'>): ParkedCommand {
    mkdirSync(this.#directory, { recursive: true, mode: 0o700 })
    const { entity, source, sequence, parkedAt } = command
    // Without a source two commands are never the same.
    const identity = source === '' ? `${entity} ${parkedAt}` : `${entity} ${source} ${sequence}`
    const parked = { id: hash32(utf8.encode(identity)).toString(16).padStart(8, '0'), ...command, retry: 1 }
    this.#write(parked)
    return parked
  }

  /** It was tried again and failed. */
  failed(command: ParkedCommand): void {
    this.#write({ ...command, retry: command.retry + 1 })
  }

  /** Oldest first. */
  list(): ParkedCommand[] {
    if (!existsSync(this.#directory)) return []
    const ids = readdirSync(this.#directory).flatMap((name) => (name.endsWith('.json') ? [name.slice(0, -'.json'.length)] : []))
    return ids
      .filter((id) => ID.test(id))
      .map((id) => this.get(id))
      .sort((a, b) => a.parkedAt - b.parkedAt)
  }

  /** Throws ERR_NOT_PARKED when there is none of that id, or its file is damaged. */
  get(id: string): ParkedCommand {
    try {
      return JSON.parse(readFileSync(this.#path(id), 'utf8')) as ParkedCommand
    } catch (cause) {
      throw notParked(id, cause)
    }
  }

  /** Throws ERR_NOT_PARKED when there is none of that id. */
  remove(id: string): void {
    if (!ID.test(id) || !existsSync(this.#path(id))) throw notParked(id)
    rmSync(this.#path(id))
  }

  #write(command: ParkedCommand): void {
    replaceFileSync(this.#path(command.id), `${exactJson(command)}\n`)
  }

  #path(id: string): string {
    return join(this.#directory, `${ID.test(id) ? id : 'none'}.json`)
  }
}

function notParked(id: string, cause?: unknown): MillraceError {
  return new MillraceError('ERR_NOT_PARKED', {
    fact: 'no command is parked under that id',
    action: 'operator',
    values: { id },
    next: 'list them with `millrace status --parked`',
    cause,
  })
}
