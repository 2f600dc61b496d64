/** The ways over which the two sides of bus-wake talk: the bus, and what else Node offers. All of them wait on the event loop. */
import type { ChildProcess } from 'node:child_process'
import type { Socket } from 'node:net'
import type { MessagePort, Worker } from 'node:worker_threads'
import { type IdleStrategy, openChannel } from '#bus/index.js'

/** What a message is about. The first four ask, the others answer. */
export const KIND = { echo: 0, pin: 1, flood: 2, last: 3, echoed: 4, pinned: 5, credit: 6, counted: 7 } as const

/** One side's end. A message is a kind and a number in a payload of a length; messages arrive whole and in order. */
export interface Link {
  /** False when the other side has too much to read already: then wait for room and try again. */
  trySend(kind: number, number: number, bytes: number): boolean
  whenRoom(bytes: number): Promise<void>
  /** Hands over what was sent since the last flush; it may have gone before. */
  flush(): void
  listen(listener: (kind: number, number: number, bytes: number) => void): void
  /** How often this side has slept, where that is counted. */
  readonly parks?: () => number
}

const CHANNEL_BYTES = 1 << 20
const MESSAGE_BYTES_MAX = 1024

/** One end of the bus: a channel each way, in `folder`. */
export function busLink(folder: string, side: 'initiator' | 'responder', strategy: IdleStrategy): Link {
  const [outbound, inbound] = side === 'initiator' ? (['ping', 'pong'] as const) : (['pong', 'ping'] as const)
  const common = { directory: folder, capacityBytes: CHANNEL_BYTES, strategy }
  const outlet = openChannel({ ...common, name: outbound, role: 'producer' })
  const inlet = openChannel({ ...common, name: inbound, role: 'consumer' })
  const { producer } = outlet
  const payload = new Uint8Array(MESSAGE_BYTES_MAX).fill(0x4d)
  const payloads = new Map([32, MESSAGE_BYTES_MAX].map((bytes) => [bytes, payload.subarray(0, bytes)]))
  return {
    trySend(kind, number, bytes) {
      const offset = producer.tryClaim(bytes, kind)
      if (offset < 0) return false
      producer.bytes.set(payloads.get(bytes) as Uint8Array, offset)
      producer.view.setFloat64(offset, number, true)
      producer.commit()
      return true
    },
    whenRoom: (bytes) => outlet.whenRoom(bytes),
    flush: () => producer.publish(),
    listen(listener) {
      inlet.consume((offset, length, type) => listener(type, inlet.view.getFloat64(offset, true), length))
    },
    parks: () => inlet.stat().consumer.waiting.parks,
  }
}

/** A way that carries payloads, without a bound on what is under way. */
export interface Carrier {
  /** JSON makes nothing good of bytes: there a payload is a string of as many characters. */
  readonly isText: boolean
  post(payload: Uint8Array | string): void
  flush(): void
  receive(receiver: (payload: Uint8Array | string) => void): void
}

/** So many messages are under way in a flood, and the reader says so after each half of them. */
const WINDOW = 1024

/** A link over any carrier: it adds the bound. */
export function carriedLink(carrier: Carrier): Link {
  const buffers = new Map([32, MESSAGE_BYTES_MAX].map((bytes) => [bytes, Buffer.alloc(bytes, 'M')]))
  let floodSent = 0
  let floodRead = 0
  let floodTaken = 0
  let heed: (() => void) | undefined
  const post = (kind: number, number: number, bytes: number) => {
    const tag = number * 8 + kind
    if (carrier.isText) return carrier.post(String(tag).padEnd(bytes))
    const buffer = buffers.get(bytes) as Buffer
    buffer.writeDoubleLE(tag)
    carrier.post(buffer)
  }
  return {
    trySend(kind, number, bytes) {
      if (kind === KIND.flood && floodSent - floodRead >= WINDOW) return false
      if (kind === KIND.flood) floodSent++
      post(kind, number, bytes)
      return true
    },
    whenRoom() {
      carrier.flush()
      return new Promise((resolve) => {
        heed = resolve
      })
    },
    flush: () => carrier.flush(),
    listen(listener) {
      carrier.receive((payload) => {
        const tag = typeof payload === 'string' ? Number.parseInt(payload.slice(0, 20), 10) : readDouble(payload)
        const kind = tag % 8
        if (kind === KIND.credit) {
          floodRead += WINDOW / 2
          return heed?.()
        }
        listener(kind, (tag - kind) / 8, payload.length)
        if (kind !== KIND.flood || ++floodTaken % (WINDOW / 2) !== 0) return
        post(KIND.credit, 0, 32)
        carrier.flush()
      })
    },
  }
}

/** `process.send`: of a parent to its child, or of a child to its parent. */
export function processCarrier(peer: ChildProcess | NodeJS.Process, isText: boolean): Carrier {
  return {
    isText,
    post: (payload) => {
      peer.send?.(payload)
    },
    flush: () => {},
    receive: (receiver) => {
      peer.on('message', receiver as (message: unknown) => void)
    },
  }
}

export function portCarrier(port: MessagePort | Worker): Carrier {
  return {
    isText: false,
    post: (payload) => port.postMessage(payload),
    flush: () => {},
    receive: (receiver) => port.on('message', receiver),
  }
}

const CHUNK_BYTES = 64 * 1024

/** A stream: frames of a length and a payload, one write for all between two flushes. */
export function socketCarrier(socket: Socket): Carrier {
  let chunk = Buffer.allocUnsafe(CHUNK_BYTES)
  let used = 0
  let rest: Buffer = Buffer.alloc(0)
  const flush = () => {
    if (used === 0) return
    socket.write(chunk.subarray(0, used))
    // What was written belongs to the socket for a while.
    chunk = chunk.length - used >= MESSAGE_BYTES_MAX + 4 ? chunk.subarray(used) : Buffer.allocUnsafe(CHUNK_BYTES)
    used = 0
  }
  socket.setNoDelay(true)
  return {
    isText: false,
    post(payload) {
      if (chunk.length - used < payload.length + 4) flush()
      used = chunk.writeUInt32LE(payload.length, used)
      chunk.set(payload as Uint8Array, used)
      used += payload.length
    },
    flush,
    receive(receiver) {
      socket.on('data', (data: Buffer) => {
        const bytes = rest.length === 0 ? data : Buffer.concat([rest, data])
        let at = 0
        while (bytes.length - at >= 4) {
          const end = at + 4 + bytes.readUInt32LE(at)
          if (end > bytes.length) break
          receiver(bytes.subarray(at + 4, end))
          at = end
        }
        rest = bytes.subarray(at)
      })
    },
  }
}

function readDouble(payload: Uint8Array): number {
  return new DataView(payload.buffer, payload.byteOffset, 8).getFloat64(0, true)
}
