import { assert } from '#base/assert.js'
import { MillraceError } from '#base/errors.js'
import type { Ending } from './child.js'
import { errorOfPlain, type PlainError } from './control-message.js'
import type { ChildRole } from './process-role.js'
import type { RoleOptions } from './supervision-options.js'

/** The code that processes of a plant are born with: one of a role and edition can stand in for another. */
export interface Edition {
  /** Grows with each that comes. */
  readonly number: number
  /** Reaches the processes as `birth.settings`. */
  readonly settings: Readonly<Record<ChildRole, Readonly<Record<string, unknown>>>>
}

/** What a process says of the code that it has loaded. Plain JSON. */
export type LoadedDetails = Readonly<Record<string, unknown>>

interface Staging {
  readonly resolve: (details: LoadedDetails) => void
  readonly reject: (error: Error) => void
}

/**
 * The edition that processes are born with, and, while a plant changes from one to another, the one that comes: of that one process for each role that
 * was asked for stands by, and what does not load is not tried again.
 */
export class Editions {
  #standing: Edition
  #coming: Edition | undefined
  readonly #staged = new Set<ChildRole>()
  #waiters: (Staging & { readonly role: ChildRole })[] = []

  constructor(roles: Readonly<Record<ChildRole, Pick<RoleOptions, 'settings'>>>) {
    const { journal, worker, gateway } = roles
    const settings = { journal: journal.settings ?? {}, worker: worker.settings ?? {}, gateway: gateway.settings ?? {} }
    this.#standing = { number: 0, settings }
  }

  get standing(): Edition {
    return this.#standing
  }

  /** How many processes of the role are to stand by, where `spares` are configured. */
  spares(edition: Edition, role: ChildRole, spares: number): number {
    if (edition === this.#standing) return spares
    return edition === this.#coming && this.#staged.has(role) ? 1 : 0
  }

  get wanted(): readonly Edition[] {
    return this.#coming === undefined ? [this.#standing] : [this.#standing, this.#coming]
  }

  /** Resolves with what a process of the role says once it is loaded; rejects with what it ends over before. */
  stage(role: ChildRole, edition: Edition): Promise<LoadedDetails> {
    assert(edition !== this.#standing, 'processes of the standing edition are there already')
    this.#coming = edition
    this.#staged.add(role)
    return new Promise((resolve, reject) => this.#waiters.push({ role, resolve, reject }))
  }

  /** A process of the role and edition stands by. */
  loaded(role: ChildRole, edition: Edition, details: LoadedDetails): void {
    if (edition === this.#coming) for (const { resolve } of this.#take(role)) resolve(details)
  }

  /** One ended before it held a seat. True when the edition is the one that comes: then no other is started. */
  failed(role: ChildRole, edition: Edition, failure: PlainError | undefined, ending: Ending): boolean {
    if (edition !== this.#coming) return false
    this.#staged.delete(role)
    for (const { reject } of this.#take(role)) reject(failure === undefined ? endedLoading(role, ending) : errorOfPlain(failure))
    return true
  }

  /** From now on only this edition is wanted. */
  settle(edition: Edition): void {
    this.#standing = edition
    this.#coming = undefined
    this.#staged.clear()
    for (const { reject } of this.#waiters.splice(0)) reject(changeStopped())
  }

  #take(role: ChildRole): Staging[] {
    const taken = this.#waiters.filter((one) => one.role === role)
    this.#waiters = this.#waiters.filter((one) => one.role !== role)
    return taken
  }
}

/** Of a change that the end of the plant has overtaken. */
export function changeStopped(): MillraceError {
  return new MillraceError('ERR_PLANT_STOPPING', {
    fact: 'the plant stops, and changes nothing any more',
    action: 'retry',
    next: 'start it again: it goes on with the code that its record names',
  })
}

function endedLoading(role: ChildRole, ending: Ending): MillraceError {
  const how = ending.kind === 'exit' ? `exit code ${ending.code}` : ending.kind === 'signal' ? ending.signal : ending.message
  return new MillraceError('ERR_CODE_LOAD', {
    fact: 'a process ended while it loaded the new code',
    action: 'operator',
    values: { role, ended: how },
    next: 'mend what runs when the plant module is imported; the logs folder says more',
  })
}
