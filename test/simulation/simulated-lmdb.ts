/**
 * Stands in for `lmdb` under the code that keeps the log, see hooks.ts: transactions one after the other, each in four steps of the disk. Nothing is done
 * before `stepEnvironment` is called, and never anything for a process that is dead.
 */
import type { Change, EnvironmentFile, StoredValue } from './disk.js'
import { nameOf } from './disk.js'
import { environmentAt } from './simulated-fs.js'

/** What is written last of a transaction, and is not yet durable then, is its meta page: that makes it visible to whoever opens the file. */
const STAGES = ['pages written', 'pages synced', 'meta page written', 'meta page synced'] as const
export type Stage = (typeof STAGES)[number]

interface Transaction {
  readonly key: Uint8Array
  readonly value: Uint8Array | undefined
  /** What is on the disk of it: taken when its pages are written. */
  change: Change | undefined
  stage: number
  readonly resolve: (isDone: boolean) => void
  readonly reject: (error: Error) => void
}

/** Environments that the one journal process of the moment has open, by directory. */
const environments = new Map<string, SimulatedEnvironment>()

export function open({ path }: { readonly path: string }): SimulatedEnvironment {
  const environment = new SimulatedEnvironment(environmentAt(path))
  environments.set(path, environment)
  return environment
}

/** The journal process is dead: what its transactions have come to stays, and nothing more happens. */
export function killEnvironments(): void {
  for (const environment of environments.values()) environment.kill()
  environments.clear()
}

/** One step of the transaction under way; undefined when there is none. */
export function stepEnvironment(directory: string): Stage | undefined {
  return environments.get(directory)?.step()
}

/** The disk does not take what the transaction under way writes, so nothing of it is ever visible; false when there is none, or when it is visible already. */
export function failEnvironment(directory: string): boolean {
  return environments.get(directory)?.fail() === true
}

class SimulatedEnvironment {
  readonly #file: EnvironmentFile
  readonly #transactions: Transaction[] = []
  #sorted: StoredValue[] | undefined
  #isDead = false

  constructor(file: EnvironmentFile) {
    this.#file = file
  }

  kill(): void {
    this.#isDead = true
    this.#transactions.length = 0
  }

  getBinary(key: Uint8Array): Buffer | undefined {
    const stored = this.#file.values.get(nameOf(key))
    return stored === undefined ? undefined : Buffer.from(stored.value)
  }

  getKeys(range: {
    readonly start?: Uint8Array
    readonly end?: Uint8Array
    readonly reverse?: boolean
    readonly limit?: number
  }): Uint8Array[] {
    const { start, end, reverse = false, limit = Number.POSITIVE_INFINITY } = range
    this.#sorted ??= [...this.#file.values.values()].sort((a, b) => Buffer.compare(a.key, b.key))
    const [from, to] = reverse ? [end, start] : [start, end]
    const found = this.#sorted.filter(({ key }) => {
      if (from !== undefined && Buffer.compare(key, from) < (reverse ? 1 : 0)) return false
      return to === undefined || Buffer.compare(key, to) < (reverse ? 1 : 0)
    })
    if (reverse) found.reverse()
    return found.slice(0, limit).map(({ key }) => key)
  }

  put(key: Uint8Array, value: Uint8Array): Promise<boolean> {
    return this.#begin(key, value)
  }

  remove(key: Uint8Array): Promise<boolean> {
    return this.#begin(key, undefined)
  }

  resetReadTxn(): void {}

  close(): Promise<void> {
    return Promise.resolve()
  }

  step(): Stage | undefined {
    const transaction = this.#transactions[0]
    if (transaction === undefined) return undefined
    const stage = STAGES[transaction.stage++] as Stage
    if (stage === 'pages written') {
      const { key, value } = transaction
      transaction.change = { key: new Uint8Array(key), value: value === undefined ? undefined : new Uint8Array(value) }
    } else if (stage === 'meta page written') {
      this.#file.show(transaction.change as Change)
      this.#sorted = undefined
    } else {
      // What a predecessor left unsynced in the same file becomes durable with it.
      this.#file.sync()
    }
    if (stage === 'meta page synced') {
      this.#transactions.shift()
      transaction.resolve(true)
    }
    return stage
  }

  fail(): boolean {
    const [transaction] = this.#transactions
    if (transaction === undefined || transaction.stage > STAGES.indexOf('meta page written')) return false
    this.#transactions.shift()
    transaction.reject(Object.assign(new Error('EIO: the disk failed'), { code: 'EIO' }))
    return true
  }

  #begin(key: Uint8Array, value: Uint8Array | undefined): Promise<boolean> {
    if (this.#isDead) return new Promise(() => {})
    return new Promise((resolve, reject) => {
      this.#transactions.push({ key, value, change: undefined, stage: 0, resolve, reject })
    })
  }
}
