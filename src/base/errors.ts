/**
 * The one error class that leaves Millrace for reasons outside the program: disk, operating system, configuration, input.
 * Bugs are `assert`, an expected "no" is a value. `code` is stable and made to be matched on; `action` says who can help.
 * The message is a lowercase fact, then `name=value` pairs, then what to do next.
 */
export class MillraceError extends Error {
  readonly code: ErrorCode
  readonly action: ErrorAction
  readonly values: Readonly<Record<string, unknown>>

  constructor(code: ErrorCode, options: MillraceErrorOptions) {
    super(describe(options), options.cause === undefined ? undefined : { cause: options.cause })
    this.name = 'MillraceError'
    this.code = code
    this.action = options.action
    this.values = options.values ?? {}
  }
}

/** `retry`: the same call may work later. `restart`: the process must end and recover. `operator`: a person has to change something. */
export type ErrorAction = 'retry' | 'restart' | 'operator'

export type ErrorCode = `ERR_${Uppercase<string>}`

export interface MillraceErrorOptions {
  /** A lowercase fact: "the data directory is held by another plant". */
  readonly fact: string
  readonly action: ErrorAction
  /** Printed as `name=value` behind the fact. */
  readonly values?: Readonly<Record<string, unknown>>
  /** What the reader should do next, as an imperative without a full stop. */
  readonly next?: string
  readonly cause?: unknown
}

export function isMillraceError(error: unknown, code?: ErrorCode): error is MillraceError {
  return error instanceof MillraceError && (code === undefined || error.code === code)
}

/** The message of anything thrown, for logs and for answers to a person. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}

function describe(options: MillraceErrorOptions): string {
  const pairs = Object.entries(options.values ?? {}).map(([name, value]) => `${name}=${show(value)}`)
  const said = [options.fact, ...pairs].join(' ')
  return options.next === undefined ? said : `${said}: ${options.next}`
}

function show(value: unknown): string {
  if (typeof value === 'string') return /^[\w./:@+-]+$/.test(value) ? value : JSON.stringify(value)
  if (typeof value === 'object' && value !== null) return JSON.stringify(value)
  return String(value)
}
