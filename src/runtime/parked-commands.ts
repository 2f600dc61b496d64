import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { exactJson } from '#base/exact-json.js'
import { MillraceError } from '#base/errors.js'
import { hash32 } from '#base/hash.js'
import { replaceFileSync } from '#processes/durable-file.js'

/** A command that is not executed any more, since it ended one worker after the other; or an effect that failed for good. Plain JSON; its file in `<data>/parked` is named after its id. */
export interface ParkedCommand {
  /** Made of entity, source and sequence: the same command gets the same. */
  readonly id: string
  /** When it was parked, microseconds since 1970. */
  readonly parkedAt: number
  readonly entity: string
  /** Of an effect its name. */
  readonly command: string
  /** For people: JSON has no NaN and no bytes. */
  readonly data: unknown
  /** The data as it was, packExact in base64. */
  readonly packed: string
  /** Of an effect the name behind `effect:`, and the number of its message. */
  readonly source: string
  readonly sequence: number
  /** When it happened, microseconds since 1970. */
  readonly at: number | undefined
  /** The worker's slot, and how each of its processes ended over the command; of an effect why its last attempts failed. */
  readonly worker?: number
  readonly causes: readonly string[]
  /** The sequence under which it is sent when it is tried again: the next one once that has failed. */
  readonly retry: number
  readonly effect?: {
    /** With which each attempt was made. */
    readonly key: string
    /** Why the last one failed. */
    readonly code: string
    readonly correlation: string
    /** The command of the entity that wants to know what came of it; empty where none does. */
    readonly answerCommand: string
  }
}

const CAUSES_KEPT = 10
const ID = /^[0-9a-f]{8}$/
const utf8 = new TextEncoder()

/** The commands that a data directory's plant has parked, each in a file of its own. May be read and changed beside a running plant. */
export class ParkedCommands {
  readonly #directory: string

  constructor(dataDirectory: string) {
    this.#directory = join(dataDirectory, 'parked')
  }

  /**
   * Durable when it returns. A command that was tried again, and ended its workers again, stays the one that it was: a second one could be tried as well, and take effect twice. Errors of
   * the file system come through as they are.
   */
  add(command: Omit<ParkedCommand, 'id' | 'retry'>): ParkedCommand {
    mkdirSync(this.#directory, { recursive: true, mode: 0o700 })
    const tried = this.#find(idOfRetry(command.source))
    if (tried !== undefined) return this.#write({ ...tried, causes: [...tried.causes, ...command.causes] })
    const identity = identityOf(command)
    for (let hash = hash32(utf8.encode(identity)); ; hash = (hash + 1) >>> 0) {
      const id = idText(hash)
      const there = this.#find(id)
      if (there === undefined && existsSync(this.#path(id))) continue
      if (there === undefined || identityOf(there) === identity) return this.#write({ id, ...command, retry: there?.retry ?? 1 })
    }
  }

  /** It was tried again and failed: the next time it is another command. Throws ERR_NOT_PARKED. */
  failed(id: string, cause?: string): void {
    const now = this.get(id)
    const causes = cause === undefined ? now.causes : [...now.causes.slice(1 - CAUSES_KEPT), cause]
    this.#write({ ...now, retry: now.retry + 1, causes })
  }

  /** The one of that source and sequence, which is not empty. */
  idOf(command: Pick<ParkedCommand, 'entity' | 'source' | 'sequence'>): ParkedCommand | undefined {
    const identity = identityOf({ ...command, parkedAt: 0 })
    for (let hash = hash32(utf8.encode(identity)); ; hash = (hash + 1) >>> 0) {
      const id = idText(hash)
      const there = this.#find(id)
      if (there !== undefined && identityOf(there) === identity) return there
      if (there === undefined && !existsSync(this.#path(id))) return undefined
    }
  }

  /** Those that can be read, oldest first. */
  list(): ParkedCommand[] {
    return this.#ids()
      .flatMap((id) => this.#find(id) ?? [])
      .sort((a, b) => a.parkedAt - b.parkedAt)
  }

  /** Files of commands that cannot be read. */
  unreadable(): string[] {
    return this.#ids()
      .filter((id) => this.#find(id) === undefined)
      .map((id) => this.#path(id))
  }

  /** Throws ERR_NOT_PARKED when there is none of that id, or its file is damaged. */
  get(id: string): ParkedCommand {
    const found = this.#find(id)
    if (found === undefined) throw notParked(id)
    return found
  }

  /** Throws ERR_NOT_PARKED when there is none of that id. */
  remove(id: string): void {
    if (!ID.test(id) || !existsSync(this.#path(id))) throw notParked(id)
    rmSync(this.#path(id))
  }

  #ids(): string[] {
    if (!existsSync(this.#directory)) return []
    const names = readdirSync(this.#directory).filter((name) => name.endsWith('.json'))
    return names.map((name) => name.slice(0, -'.json'.length)).filter((id) => ID.test(id))
  }

  #find(id: string | undefined): ParkedCommand | undefined {
    if (id === undefined || !ID.test(id)) return undefined
    try {
      return JSON.parse(readFileSync(this.#path(id), 'utf8')) as ParkedCommand
    } catch (error) {
      if (error instanceof SyntaxError || (error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
      throw error
    }
  }

  #write(command: ParkedCommand): ParkedCommand {
    replaceFileSync(this.#path(command.id), `${exactJson(command)}\n`)
    return command
  }

  #path(id: string): string {
    return join(this.#directory, `${id}.json`)
  }
}

const RETRIES = 'parked/'

/** Under which a parked command is sent when it is tried again. */
export function retrySource(id: string): string {
  return `${RETRIES}${id}`
}

function idOfRetry(source: string): string | undefined {
  return source.startsWith(RETRIES) ? source.slice(RETRIES.length) : undefined
}

function idText(hash: number): string {
  return hash.toString(16).padStart(8, '0')
}

/** Without a source two commands are never the same. */
function identityOf({ entity, source, sequence, parkedAt }: Pick<ParkedCommand, 'entity' | 'source' | 'sequence' | 'parkedAt'>): string {
  return source === '' ? `${entity} ${parkedAt}` : `${entity} ${source} ${sequence}`
}

function notParked(id: string): MillraceError {
  return new MillraceError('ERR_NOT_PARKED', {
    fact: 'no command is parked under that id',
    action: 'operator',
    values: { id },
    next: 'list them with `millrace status --parked`',
  })
}
