import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Clock } from '#base/clock.js'
import { parseCommands } from './command-lines.js'
import { CommandRequest } from './command-request.js'
import type { Door } from './door.js'
import { answer, answerLines, answerUnread } from './http-answer.js'
import { type BodyEncoding, type BodyHold, BodyRoom, readBody } from './http-body.js'
import type { HttpLimits } from './http-limits.js'
import { notNow, type Refusal, refusalOfBody, TOO_MANY_REQUESTS, UNKNOWN_ENCODING, wrong } from './http-refusal.js'
import type { NumberWords } from './number-words.js'
import { RateLimit } from './rate-limit.js'
import { RoomBell } from './room-bell.js'
import { SourceOrder, type Turn } from './source-order.js'

export interface HttpCommandsOptions {
  readonly door: Door
  readonly clock: Clock
  readonly bodyBytesMax: number
  readonly ratePerSecond: number
  readonly limits: HttpLimits
  /** Undefined: data is taken as JSON has it. */
  readonly words?: NumberWords | undefined
}

/** Who sends a request's commands; `source` is empty when the client numbers nothing, and `sequence` then means nothing. */
interface Numbering {
  readonly source: string
  readonly sequence: number
}

/** One request on its way. */
interface Visit extends Numbering {
  readonly request: IncomingMessage
  readonly response: ServerResponse
  readonly turn: Turn
  readonly hold: BodyHold
}

/** How far a request came before its turn ended: `commands` were offered, `refusal` says why not all. */
interface Passage {
  readonly commands?: CommandRequest
  readonly refusal?: Refusal | undefined
}

/** A refused source is awaited while a request that left before can still arrive, and as long again. */
const AWAIT_REQUESTS = 2

/** Answers POST requests with commands: 200 once all of them are durable. */
export class HttpCommands {
  readonly #options: HttpCommandsOptions
  readonly #rate: RateLimit
  readonly #order: SourceOrder
  readonly #room: RoomBell
  readonly #bodies: BodyRoom

  constructor(options: HttpCommandsOptions) {
    const { door, clock, limits, ratePerSecond } = options
    this.#options = options
    this.#rate = new RateLimit(ratePerSecond, clock)
    this.#order = new SourceOrder({ clock, awaitMs: AWAIT_REQUESTS * (limits.headersMs + limits.requestMs) })
    this.#room = new RoomBell(door)
    this.#bodies = new BodyRoom(limits.bodiesBytesMax)
  }

  /** What is held for requests under way: nothing when there are none. */
  get held(): { readonly bodyBytes: number; readonly turns: number; readonly waiting: number } {
    return { bodyBytes: this.#bodies.heldBytes, turns: this.#order.busyCount, waiting: this.#room.waitingCount }
  }

  /**
   * Call it in the order in which requests come, since they keep it. `isTooMany`: the connection has more requests under way than it may; this one
   * is refused as if the plant were full.
   */
  async take(request: IncomingMessage, response: ServerResponse, isTooMany: boolean): Promise<void> {
    const numbering = numberingOf(request)
    if (typeof numbering === 'string') return answer(response, 400, { error: numbering, taken: 0 })
    // Unnumbered requests of one connection keep their order too.
    const turn = this.#order.enter(numbering.source === '' ? request.socket : numbering.source)
    const visit: Visit = { ...numbering, request, response, turn, hold: this.#bodies.hold() }
    try {
      const passage = await this.#pass(visit, isTooMany)
      turn.end()
      await this.#tell(visit, passage)
    } finally {
      turn.end()
      visit.hold.release()
    }
  }

  /** Reads the body while others have their turn, then offers its commands. */
  async #pass(visit: Visit, isTooMany: boolean): Promise<Passage> {
    const { source, sequence, turn } = visit
    const body = isTooMany ? TOO_MANY_REQUESTS : await this.#read(visit)
    await turn.come
    const awaited = source === '' ? undefined : this.#order.awaitedBefore(source, sequence, turn)
    if (awaited !== undefined) {
      const isUnread = typeof body === 'object' && body.isUnread === true
      return { refusal: { ...notNow(`number ${awaited} of this source was not taken and must come first`, { awaited }), isUnread } }
    }
    if (typeof body !== 'string') return this.#refused(visit, body)
    const parsed = parseCommands(body, source, sequence)
    if ('error' in parsed) return this.#refused(visit, wrong(parsed.error, parsed.line))
    const waitSeconds = this.#rate.take(visit.request.socket.remoteAddress ?? '', parsed.commands.length)
    if (waitSeconds > 0) return this.#refused(visit, notNow('more commands a second than this door allows', { waitSeconds }))
    return this.#offer(visit, parsed.commands, parsed.lines)
  }

  async #offer(visit: Visit, parsed: ConstructorParameters<typeof CommandRequest>[0], lines: readonly number[]): Promise<Passage> {
    const { source, sequence, request } = visit
    const { door, clock, limits, words } = this.#options
    const isWanted = () => !request.socket.destroyed
    const read = words === undefined ? parsed : parsed.map((command) => words.read(command))
    const commands = new CommandRequest(read, { door, room: this.#room, clock, roomMs: limits.roomMs, isWanted })
    const end = await commands.offer()
    const next = sequence + commands.takenCount
    if (end === 'whole') {
      if (source !== '') this.#order.taken(source, next)
      return { commands }
    }
    const refusal = typeof end === 'object' ? wrong(end.rejected, lines[commands.takenCount]) : notNow('the plant is full')
    if (source !== '') this.#order.notTaken(source, next, refusal.how)
    return { commands, refusal }
  }

  /** Undefined: the client left. */
  #refused({ source, sequence }: Visit, refusal: Refusal | undefined): Passage {
    if (source !== '') this.#order.notTaken(source, sequence, refusal?.how ?? 'final')
    return { refusal }
  }

  /** The body, or why there is none; undefined when the client left. */
  async #read({ request, response, hold }: Visit): Promise<string | Refusal | undefined> {
    const { bodyBytesMax } = this.#options
    const encoding = encodingOf(request)
    if (encoding === undefined) return UNKNOWN_ENCODING
    const isAsking = request.headers.expect !== undefined
    if (isAsking && Number(request.headers['content-length'] ?? 0) <= bodyBytesMax) response.writeContinue()
    const body = await readBody(request, encoding, bodyBytesMax, hold)
    return typeof body === 'string' ? refusalOfBody(body, bodyBytesMax) : body.text
  }

  /** Answers once all that was taken is durable. */
  async #tell({ request, response, source }: Visit, { commands, refusal }: Passage): Promise<void> {
    const answers = (await commands?.answers()) ?? []
    if (refusal === undefined) {
      if (commands !== undefined) answerLines(response, answers)
      return
    }
    const body = { ...refusal.body, taken: answers.length, answers }
    // What the client has sent behind it on this connection counts on it.
    if (source !== '' && refusal.how === 'final') response.shouldKeepAlive = false
    if (refusal.isUnread === true)
      answerUnread(request, response, refusal.status, body, { lingerMs: this.#options.limits.lingerMs, ...optional(refusal.headers) })
    else answer(response, refusal.status, body, refusal.headers)
  }
}

function optional(headers: Refusal['headers']): { headers?: Readonly<Record<string, string>> } {
  return headers === undefined ? {} : { headers }
}

/** Visible ASCII, since that is the text in headers that everybody reads alike. */
const SOURCE = /^[\x21-\x7e]{1,200}$/

function numberingOf(request: IncomingMessage): Numbering | string {
  const source = request.headers['millrace-source']
  const text = request.headers['millrace-sequence']
  if (source === undefined && text === undefined) return { source: '', sequence: 0 }
  if (typeof source !== 'string' || typeof text !== 'string') return 'Millrace-Source and Millrace-Sequence go together'
  if (!SOURCE.test(source)) return 'Millrace-Source: expected 1 to 200 visible ASCII characters without spaces'
  const sequence = /^\d{1,16}$/.test(text) ? Number(text) : Number.NaN
  if (!Number.isSafeInteger(sequence)) return 'Millrace-Sequence: expected a whole number, that of the first command'
  return { source: `http:${source}`, sequence }
}

function encodingOf(request: IncomingMessage): BodyEncoding | undefined {
  const encoding = (request.headers['content-encoding'] ?? 'identity').trim().toLowerCase()
  if (encoding === 'identity' || encoding === 'gzip') return encoding
  return encoding === 'x-gzip' ? 'gzip' : undefined
}
