/** A message of one connection that is not acknowledged yet. */
interface Open {
  readonly messageId: number
  readonly bytes: number
  isDone: boolean
}

const PUBACK = 0x40
const PUBACK_BYTES = 4

/**
 * What one connection has read and not acknowledged. PUBACKs leave in the order in which the messages came, each only once its message and all
 * before it are done; those of one turn leave together. They are written here because the client library acknowledges a message before it
 * hands out the next one, so that at most one could wait for its fsync.
 */
export class AckQueue {
  readonly #send: (bytes: Uint8Array) => void
  readonly #onAdvance: () => void
  #open: Open[] = []
  #head = 0
  #openBytes = 0
  #ready: number[] = []
  #isAbandoned = false

  /** `onAdvance` is called whenever there is less open than before. */
  constructor(send: (bytes: Uint8Array) => void, onAdvance: () => void) {
    this.#send = send
    this.#onAdvance = onAdvance
  }

  get openCount(): number {
    return this.#open.length - this.#head
  }

  get openBytes(): number {
    return this.#openBytes
  }

  /** The next message; what comes back says that it is done with. `messageId` 0: a message of QoS 0, which has no PUBACK. */
  add(messageId: number, bytes: number): () => void {
    const open = { messageId, bytes, isDone: false }
    this.#open.push(open)
    this.#openBytes += bytes
    return () => {
      open.isDone = true
      this.#advance()
    }
  }

  /** The connection is gone: the broker will send again what was not acknowledged over it. */
  abandon(): void {
    this.#isAbandoned = true
    this.#ready = []
  }

  #advance(): void {
    const before = this.#head
    for (let first = this.#open[this.#head]; first?.isDone === true; first = this.#open[this.#head]) {
      this.#head++
      this.#openBytes -= first.bytes
      if (first.messageId !== 0 && !this.#isAbandoned && this.#ready.push(first.messageId) === 1) queueMicrotask(() => this.#flush())
    }
    if (this.#head === before) return
    if (this.#head >= 1024 && this.#head * 2 >= this.#open.length) {
      this.#open = this.#open.slice(this.#head)
      this.#head = 0
    }
    this.#onAdvance()
  }

  /** With reason code 0 a PUBACK is the same four bytes in MQTT 3.1.1 and 5. */
  #flush(): void {
    if (this.#ready.length === 0) return
    const bytes = new Uint8Array(this.#ready.length * PUBACK_BYTES)
    let offset = 0
    for (const messageId of this.#ready) {
      bytes[offset] = PUBACK
      bytes[offset + 1] = 2
      bytes[offset + 2] = messageId >>> 8
      bytes[offset + 3] = messageId & 0xff
      offset += PUBACK_BYTES
    }
    this.#ready = []
    this.#send(bytes)
  }
}
