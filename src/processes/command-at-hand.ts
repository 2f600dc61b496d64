/** Where the frame of a command lies: in the channel from which gateway, or behind those from which worker, and at which of its positions. Stays the same for every worker that reads it. */
export interface CommandPlace {
  readonly gateway: number
  readonly position: number
}

/** What a place holds, for people. */
export interface NamedCommand {
  readonly entity: string
  readonly command: string
}

/**
 * The command that a worker is executing at the moment, in words that outlive its process: whatever ends it or holds it up then has a name. Written by the
 * worker before each command, which costs two plain stores; read by others when the process is dead or stuck.
 */
export class CommandAtHand {
  readonly #words: Int32Array
  readonly #index: number

  /** Takes two words from `index` on: the gateway's slot + 1, 0 when there is no command, and the position. */
  constructor(words: Int32Array, index: number) {
    this.#words = words
    this.#index = index
  }

  set(gateway: number, position: number): void {
    this.#words[this.#index + 1] = position
    this.#words[this.#index] = gateway + 1
  }

  clear(): void {
    this.#words[this.#index] = 0
  }

  read(): CommandPlace | undefined {
    const gateway = Atomics.load(this.#words, this.#index) - 1
    return gateway < 0 ? undefined : { gateway, position: Atomics.load(this.#words, this.#index + 1) }
  }
}
