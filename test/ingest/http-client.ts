import { connect, type Socket } from 'node:net'
import { onTestFinished } from 'vitest'
import { systemClock } from '#base/clock.js'
import { type HttpDoor, type HttpDoorOptions, openHttpDoor } from '#ingest/http-door.js'
import type { Door } from '#ingest/index.js'

/** A door on a free port, closed with the test. */
export async function openDoor(door: Door, options: Partial<HttpDoorOptions> = {}): Promise<HttpDoor> {
  const http = await openHttpDoor({
    door,
    clock: systemClock,
    host: '127.0.0.1',
    port: 0,
    bodyBytesMax: 100_000,
    connectionsMax: 100,
    ratePerSecond: 0,
    pages: {
      '/healthz': { isOpen: true, read: () => ({ status: 200, type: 'text/plain', body: 'alive\n' }) },
      '/metrics': { isOpen: false, read: () => ({ status: 200, type: 'text/plain', body: 'm 1\n' }) },
    },
    ...options,
  })
  onTestFinished(() => http.close(0))
  return http
}

export interface HttpAnswer {
  readonly status: number
  readonly headers: Headers
  /** The JSON lines of its body. */
  readonly lines: Record<string, unknown>[]
}

export async function post(
  http: Pick<HttpDoor, 'url'>,
  body: string | Uint8Array | ReadableStream,
  headers: Record<string, string> = {},
): Promise<HttpAnswer> {
  const init = { method: 'POST', body, headers, ...(body instanceof ReadableStream ? { duplex: 'half' as const } : {}) }
  const response = await fetch(`${http.url}/v1/commands`, init)
  return { status: response.status, headers: response.headers, lines: jsonLines(await response.text()) }
}

export function jsonLines(text: string): Record<string, unknown>[] {
  return text
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as Record<string, unknown>)
}

export const command = (t: number, more: object = {}) => ({ entity: 'press/p1', command: 'sample', data: { t, ...more } })
export const linesOf = (...commands: object[]) => commands.map((one) => JSON.stringify(one)).join('\n')
export const numbered = (source: string, sequence: number) => ({ 'Millrace-Source': source, 'Millrace-Sequence': String(sequence) })

/** The text of a POST request, for a connection that is written byte by byte. */
export function rawPost(body: string, headers: Record<string, string> = {}): string {
  const all = { host: 'door', 'content-length': String(Buffer.byteLength(body)), ...headers }
  const head = Object.entries(all).map(([name, value]) => `${name}: ${value}\r\n`)
  return `POST /v1/commands HTTP/1.1\r\n${head.join('')}\r\n${body}`
}

/** A connection on which requests are written by hand, and the answers as they come. */
export class RawConnection {
  readonly socket: Socket
  isClosed = false
  #text = ''

  constructor(http: Pick<HttpDoor, 'url'>, isReading = true) {
    this.socket = connect(Number(new URL(http.url).port), '127.0.0.1')
    onTestFinished(() => void this.socket.destroy())
    this.socket.on('error', () => undefined)
    this.socket.on('close', () => (this.isClosed = true))
    if (isReading) this.socket.on('data', (piece: Buffer) => (this.#text += piece.toString('latin1')))
    else this.socket.pause()
  }

  write(text: string | Uint8Array): this {
    this.socket.write(text)
    return this
  }

  /** Statuses of the answers so far, provisional ones left out. */
  get statuses(): number[] {
    return this.answers.map(({ status }) => status)
  }

  /** Whole answers so far. */
  get answers(): { readonly status: number; readonly head: string; readonly lines: Record<string, unknown>[] }[] {
    const answers = []
    for (let rest = this.#text; ; ) {
      const end = rest.indexOf('\r\n\r\n')
      if (end < 0) return answers
      const head = rest.slice(0, end)
      const status = Number(/^HTTP\/1\.1 (\d+)/.exec(head)?.[1])
      const length = Number(/content-length: (\d+)/i.exec(head)?.[1] ?? 0)
      const body = rest.slice(end + 4, end + 4 + length)
      if (body.length < length) return answers
      rest = rest.slice(end + 4 + length)
      if (status !== 100) answers.push({ status, head, lines: jsonLines(body) })
    }
  }
}
