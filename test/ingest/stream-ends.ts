import { Duplex } from 'node:stream'
import { serveStreamDoor } from '#ingest/stream-server.js'
import { COMMANDS, HELLO, packFrame, STREAM_VERSION, type StreamCommand, StreamFrameReader } from '#ingest/stream-frames.js'
import type { Door } from '#ingest/door.js'

const BUFFER_BYTES = 64 * 1024

/** Both ends of a stream, as a socket pair has them: bytes in order, back-pressure, and an end that the other side sees. */
export function streamPair(): [Duplex, Duplex] {
  const a = new StreamEnd()
  const b = new StreamEnd()
  a.peer = b
  b.peer = a
  return [a, b]
}

class StreamEnd extends Duplex {
  peer: StreamEnd | undefined
  #onRead: (() => void) | undefined

  constructor() {
    super({ highWaterMark: BUFFER_BYTES, allowHalfOpen: false })
  }

  override _write(piece: Buffer, _encoding: string, done: () => void): void {
    const { peer } = this
    if (peer === undefined || peer.destroyed) return done()
    // On a turn of its own, as bytes come from a kernel.
    setImmediate(() => {
      if (peer.destroyed || peer.push(piece)) done()
      else peer.#onRead = done
    })
  }

  override _final(done: () => void): void {
    this.peer?.push(null)
    done()
  }

  override _read(): void {
    const resume = this.#onRead
    this.#onRead = undefined
    resume?.()
  }

  override _destroy(error: Error | null, done: (error: Error | null) => void): void {
    const { peer } = this
    this.peer = undefined
    this.#onRead?.()
    if (peer !== undefined) setImmediate(() => peer.destroy())
    done(error)
  }
}

/** A client without manners: writes what it is told and keeps what it hears. */
export class RawClient {
  readonly heard: (readonly unknown[])[] = []
  isClosed = false
  readonly #socket: Duplex
  readonly #reader = new StreamFrameReader()

  /** Connected to a door of its own; `isReading: false` never takes anything off the stream. */
  constructor(door: Door, options: { readonly credit?: number; readonly isReading?: boolean } = {}) {
    const [mine, theirs] = streamPair()
    this.#socket = mine
    serveStreamDoor(theirs, { door, ...(options.credit === undefined ? {} : { credit: options.credit }) })
    if (options.isReading !== false) mine.on('data', (piece: Buffer) => this.heard.push(...this.#reader.read(piece)))
    mine.on('close', () => {
      this.isClosed = true
    })
    mine.on('error', () => undefined)
  }

  get unwrittenBytes(): number {
    return this.#socket.writableLength
  }

  hello(): this {
    return this.say([HELLO, STREAM_VERSION])
  }

  commands(firstId: number, commands: readonly unknown[]): this {
    return this.say([COMMANDS, firstId, commands])
  }

  say(message: readonly unknown[]): this {
    return this.write(packFrame(message))
  }

  write(bytes: Uint8Array): this {
    this.#socket.write(bytes)
    return this
  }

  leave(): void {
    this.#socket.destroy()
  }
}

export function commandOf(sequence: number, changes: Partial<Record<'source' | 'entity' | 'answer', unknown>> = {}): StreamCommand {
  const { source = 'device', entity = 'press/press-1', answer = 0 } = changes
  return [source, sequence, entity, 'sample', { n: sequence }, 1000 + sequence, null, answer] as unknown as StreamCommand
}

/** Resolves when the condition holds; rejects with what was waited for after some seconds. */
export async function eventually(what: string, condition: () => boolean): Promise<void> {
  const deadline = performance.now() + 20_000
  while (!condition()) {
    if (performance.now() > deadline) throw new Error(`never: ${what}`)
    await new Promise(setImmediate)
  }
}
