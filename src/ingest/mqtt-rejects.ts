import { type FileHandle, mkdir, open } from 'node:fs/promises'
import { dirname } from 'node:path'
import type { Cancel, Clock } from '#base/clock.js'
import { messageOf } from '#base/errors.js'
import type { Reject } from './reject-file.js'
import type { MqttClient } from 'mqtt'
import { MqttLink, type MqttLinkOptions } from './mqtt-link.js'
import type { SourceLog } from './source.js'

/** A message that the plant did not take. */
export interface MqttReject {
  readonly topic: string
  readonly kind: Reject['kind']
  /** For a person. */
  readonly reason: string
  readonly payload: Uint8Array
}

/** Where rejected messages of one source go. */
export interface MqttRejects {
  /** The topic or the path of the file. */
  readonly target: string
  /** Resolves once the reject is safe: then its message may be acknowledged. Does not reject; while nothing can be written it waits. */
  add(reject: MqttReject): Promise<void>
  close(): Promise<void>
}

/** Of a payload, the rest is cut. */
const PAYLOAD_BYTES_KEPT_MAX = 64 * 1024
const FILE_RETRY_MS = 1000
const TOPIC_TIMEOUT_MS = 10_000
/** MQTT 3.1.1 has no way to refuse a message but to end the connection. */
const TOPIC_ATTEMPTS_MAX = 3

/**
 * A reject as one line of JSON: `{ source, at, topic, kind, reason, bytes, encoding, payload }`. `payload` is the text as it came, or base64 where
 * that is no valid UTF-8; of a long one it is the beginning, and `bytes` says how long it was.
 */
export function rejectLine(source: string, atMicros: number, reject: MqttReject): string {
  const { topic, kind, reason, payload } = reject
  const kept = Buffer.from(payload.buffer, payload.byteOffset, Math.min(payload.length, PAYLOAD_BYTES_KEPT_MAX))
  const text = decoded(kept, kept.length < payload.length)
  return JSON.stringify({
    source,
    at: new Date(atMicros / 1000).toISOString(),
    topic,
    kind,
    reason,
    bytes: payload.length,
    encoding: text === undefined ? 'base64' : 'utf-8',
    payload: text ?? kept.toString('base64'),
  })
}

/** Undefined when the bytes are no UTF-8. A character that the cut went through is left out. */
function decoded(bytes: Uint8Array, isCut: boolean): string | undefined {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes, { stream: isCut })
  } catch {
    return undefined
  }
}

/** JSON lines appended to a file of mode 0600, which is made with the first one. Lines that come while an fsync runs share the next. */
export class RejectFile implements MqttRejects {
  readonly target: string
  readonly #source: string
  readonly #clock: Clock
  readonly #log: SourceLog
  #waiting: { readonly line: string; readonly done: () => void }[] = []
  #file: FileHandle | undefined
  #writing: Promise<void> | undefined
  #isClosed = false

  constructor(options: { readonly path: string; readonly source: string; readonly clock: Clock; readonly log: SourceLog }) {
    this.target = options.path
    this.#source = options.source
    this.#clock = options.clock
    this.#log = options.log
  }

  add(reject: MqttReject): Promise<void> {
    const line = `${rejectLine(this.#source, this.#clock.nowMicros(), reject)}\n`
    return new Promise((done) => {
      this.#waiting.push({ line, done })
      this.#writing ??= this.#write().finally(() => (this.#writing = undefined))
    })
  }

  async close(): Promise<void> {
    this.#isClosed = true
    await this.#writing
    await this.#file?.close()
  }

  async #write(): Promise<void> {
    while (this.#waiting.length > 0) {
      // A copy: what comes while it is written goes with the next.
      const group = [...this.#waiting]
      try {
        this.#file ??= await this.#open()
        await this.#file.appendFile(group.map(({ line }) => line).join(''))
        await this.#file.datasync()
      } catch (error) {
        this.#log('error', 'a rejected message cannot be written down, so it is not acknowledged', {
          file: this.target,
          error: messageOf(error),
          next: 'make room or give another path',
        })
        await this.#file?.close().catch(() => {})
        this.#file = undefined
        if (this.#isClosed) return
        await new Promise<void>((resolve) => this.#clock.after(FILE_RETRY_MS, resolve))
        continue
      }
      this.#waiting = this.#waiting.slice(group.length)
      for (const { done } of group) done()
    }
  }

  /** Half a line that a crash left is ended, so that it does not spoil the next one. */
  async #open(): Promise<FileHandle> {
    await mkdir(dirname(this.target), { recursive: true, mode: 0o700 })
    const file = await open(this.target, 'a+', 0o600)
    const { size } = await file.stat()
    const last = size === 0 ? undefined : (await file.read(Buffer.alloc(1), 0, 1, size - 1)).buffer[0]
    if (last !== undefined && last !== 0x0a) await file.appendFile('\n')
    return file
  }
}

interface Pending {
  readonly reject: MqttReject
  readonly body: string
  readonly cancelTimeout: Cancel
  readonly done: () => void
  /** Connections over which it was published. */
  attempts: number
}

/**
 * Rejects published at QoS 1 over a connection of their own: over the source's, their PUBACKs would stand behind messages that wait for
 * them. What the broker refuses, ends three connections for, or does not acknowledge within ten seconds, goes to the file, so that no reject
 * holds up the rest.
 */
export class RejectTopic implements MqttRejects {
  readonly target: string
  readonly #source: string
  readonly #link: Omit<MqttLinkOptions, 'onOpen' | 'onClose'>
  readonly #fallback: MqttRejects
  readonly #pending = new Set<Pending>()
  #openLink: MqttLink | undefined
  #client: MqttClient | undefined
  #isFallbackTold = false

  constructor(options: {
    readonly topic: string
    readonly source: string
    readonly link: Omit<MqttLinkOptions, 'onOpen' | 'onClose'>
    readonly fallback: MqttRejects
  }) {
    this.target = options.topic
    this.#source = options.source
    this.#link = options.link
    this.#fallback = options.fallback
  }

  add(reject: MqttReject): Promise<void> {
    const { clock } = this.#link
    this.#openLink ??= new MqttLink({
      ...this.#link,
      onOpen: (client) => {
        this.#client = client
        for (const pending of this.#pending) this.#publish(client, pending)
      },
      onClose: () => {
        this.#client = undefined
        for (const pending of this.#pending) {
          if (pending.attempts >= TOPIC_ATTEMPTS_MAX) this.#fallBack(pending, 'the broker ended the connection instead of taking it')
        }
      },
    })
    return new Promise((done) => {
      const pending: Pending = {
        reject,
        body: rejectLine(this.#source, clock.nowMicros(), reject),
        cancelTimeout: clock.after(TOPIC_TIMEOUT_MS, () => this.#fallBack(pending, 'the broker did not acknowledge it in time')),
        done,
        attempts: 0,
      }
      this.#pending.add(pending)
      if (this.#client !== undefined) this.#publish(this.#client, pending)
    })
  }

  async close(): Promise<void> {
    for (const { cancelTimeout } of this.#pending) cancelTimeout()
    this.#pending.clear()
    await this.#openLink?.close(1000)
    await this.#fallback.close()
  }

  #publish(client: MqttClient, pending: Pending): void {
    pending.attempts++
    client.publish(this.target, pending.body, { qos: 1 }, (error) => {
      if (!this.#pending.has(pending)) return
      // An error without a reason code is the end of the connection: it is published again over the next one.
      if (error === undefined || error === null) this.#finish(pending)
      else if ('code' in error && typeof error.code === 'number') this.#fallBack(pending, error.message)
    })
  }

  #finish(pending: Pending): void {
    this.#pending.delete(pending)
    pending.cancelTimeout()
    pending.done()
  }

  #fallBack(pending: Pending, error: string): void {
    if (!this.#pending.delete(pending)) return
    pending.cancelTimeout()
    if (!this.#isFallbackTold) {
      this.#isFallbackTold = true
      this.#link.log('warn', 'a rejected message cannot be published, it is written to the reject file instead', {
        topic: this.target,
        error,
      })
    }
    void this.#fallback.add(pending.reject).then(pending.done)
  }
}
