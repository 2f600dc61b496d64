import { assert } from '#base/assert.js'
import { isMillraceError, MillraceError, messageOf } from '#base/errors.js'
import { FRAME_TOO_LARGE } from '#bus/index.js'
import { ANSWER_DONE, ANSWER_FORGOTTEN, ANSWER_REFUSED } from '#entity/answer-frame.js'
import { ANSWER_ALWAYS, type CommandReader } from '#entity/command-frame.js'
import {
  createOutcomes,
  type Decision,
  encodeSnapshot,
  FORGOTTEN,
  Outbox,
  type OutboxRow,
  type PlantModel,
  type VolatileCause,
} from '#entity/index.js'
import {
  APPEND_HEADER_BYTES,
  appendHeaderBytes,
  FLAG_LATE,
  OUTCOME_NONE,
  OUTCOME_REFUSAL,
  OUTCOME_REPLY,
  type OutcomeKind,
  RECEIPT_TYPE,
  ROW_HEADER_BYTES,
  writeAppendHeader,
  writeAppendNumbers,
  writeRowHeader,
} from '#journal/append-frame.js'
import type { JournalClient } from '#serving/journal-client.js'
import { APPEND_FRAME } from '#serving/serving-frames.js'
import { ByteStrings } from './byte-strings.js'
import {
  answerUnstored,
  channelTooSmall,
  faultBytes,
  isToBeStored,
  OUTCOME_TOO_LARGE,
  outcomeBytes,
  shortFault,
} from './command-outcome.js'
import { copyWords, emptyHeader, type Header } from './append-words.js'
import type { EventNumbers } from './event-numbers.js'
import { type Fence, fenceOf } from './fence.js'
import { type InFlight, NO_BYTES } from './in-flight.js'
import { errorRows, takeRows, whyDown } from './lifecycle.js'
import type { MessagesOptions } from './messenger-options.js'
import { encodeOutboxRow, messageBytes, outboxRowBytes, rowsThatFit, type SettledAppend, settledHeader } from './outbox-rows.js'
import { type OwnCommand, ownCommandOf, ownSettledRow, postponed } from './own-command.js'
import type { Slot } from './slot.js'
import { isSnapshotDue } from './snapshot-due.js'
import type { WorkerCounters } from './worker-counters.js'
import type { CommandFault } from './worker-options.js'

/**
 * What executing a command came to: `done`; `no-room` in the appends channel, nothing happened and it is to be tried again; or `broken`: its
 * `apply` threw, so that the slot's state must be dropped and loaded again.
 */
export type Executed = 'done' | 'no-room' | 'broken'

/** `never`: this state cannot be a snapshot, being too large for the bus or not plain data. */
export type SnapshotSent = 'sent' | 'no-room' | 'never'

const APPEND_NUMBER_MAX = 0xffff_ffff
/** A failed snapshot is tried again after so many more rows. */
const SNAPSHOT_RETRY_ROWS = 1000

const EVENTS_TOO_LARGE = 'the events of the command are larger than the bus carries'

export interface ExecutorOptions {
  readonly plant: PlantModel
  readonly journal: JournalClient
  readonly term: number
  readonly numbers: EventNumbers
  readonly counters: WorkerCounters
  readonly snapshotEvery: number
  /** Largest outcome that an answer frame can carry, by inbound link. */
  readonly outcomeBytesMax: readonly number[]
  /** Of the first append less one: for tests of the numbers' end. */
  readonly appendNumber?: number
  /** Where entities can send messages. */
  readonly messages: MessagesOptions | undefined
  /** As of WorkerOptions. */
  readonly onFault?: ((fault: CommandFault) => void) | undefined
  /** The entity's outbox has taken rows, which are durable when the journal has released up to `position`. */
  readonly onOutbox: (slot: Slot, outbox: Outbox, rows: readonly OutboxRow[], position: number) => void
  /** A command of the entity told what is not stored. */
  readonly onVolatile: ((slot: Slot, decision: Decision, cause: VolatileCause) => void) | undefined
}

/**
 * Executes one command on a live slot: duplicate? decide, claim an append frame, apply, commit. State advances at once and is speculative until
 * the journal releases the frame. Nothing is visible to the journal before the caller publishes the channel.
 */
export class Executor {
  readonly #plant: PlantModel
  readonly #journal: JournalClient
  readonly #term: number
  readonly #numbers: EventNumbers
  readonly #counters: WorkerCounters
  readonly #snapshotEvery: number
  readonly #outcomeBytes: readonly number[]
  /** For the command at hand. */
  #outcomeBytesMax = 0
  readonly #strings = new ByteStrings()
  readonly #envelope = { at: 0, entity: '', source: '', correlation: '', accepted: 0, outbox: undefined as Outbox | undefined }
  /** Index of the inbound link by which entities send themselves commands, and the largest frame of a message. */
  readonly #ownLink: number
  readonly #messageBytesMax: number
  readonly #onOutbox: ExecutorOptions['onOutbox']
  readonly #onFault: ExecutorOptions['onFault']
  readonly #onVolatile: ExecutorOptions['onVolatile']
  readonly #sizes: number[] = []
  readonly #header: Header
  #appendNumber: number
  /** Of the last append. */
  #outcome: Uint8Array = NO_BYTES
  #eventCount = 0
  #outboxRows: readonly OutboxRow[] = NO_ROWS
  /** By which the entity says that the command at hand has failed. */
  #errorRows: readonly OutboxRow[] = NO_ROWS
  #decision: Decision | undefined
  /** The command at hand, when it is the entity's own. */
  #own: OwnCommand | undefined

  constructor(options: ExecutorOptions) {
    this.#plant = options.plant
    this.#journal = options.journal
    this.#term = options.term
    this.#numbers = options.numbers
    this.#counters = options.counters
    this.#snapshotEvery = options.snapshotEvery
    this.#outcomeBytes = options.outcomeBytesMax
    this.#appendNumber = options.appendNumber ?? 0
    const { messages } = options
    this.#ownLink = messages === undefined ? -1 : messages.deviceLinks + messages.own
    this.#messageBytesMax = Math.min(...(messages?.links ?? []).map(({ commands }) => commands.frameBytesMax))
    this.#onOutbox = options.onOutbox
    this.#onFault = options.onFault
    this.#onVolatile = options.onVolatile
    this.#header = emptyHeader(options.term)
  }

  /**
   * Throws ERR_APPEND_NUMBERS when the term has no append number left (after 2^32 - 1 of them): then the process must end, and its successor
   * goes on under the next term.
   */
  execute(slot: Slot, command: CommandReader, entry: InFlight): Executed {
    const sourceBytes = command.sourceBytes
    const source = sourceBytes === 0 ? '' : this.#sourceOf(slot, command, sourceBytes)
    this.#outcomeBytesMax = this.#outcomeBytes[entry.link] ?? this.#journal.appends.frameBytesMax / 2
    this.#decision = undefined
    entry.request = command.request
    entry.doorTerm = command.doorTerm
    if (sourceBytes > 0 && this.#isDuplicate(slot, source, command, entry)) return 'done'
    this.#own = undefined
    this.#errorRows = NO_ROWS
    if (sourceBytes === 0 && entry.link === this.#ownLink && !this.#isOwnPending(slot, command, entry)) return 'done'
    const fence = slot.lostVersion === 0 ? undefined : fenceOf(slot)
    if (fence?.isStored === false) return this.#refuseUnstored(slot, entry, fence)

    const accepted = command.acceptedMicros
    const atMicros = command.atMicros
    // NaN alone differs from itself.
    const at = atMicros === atMicros ? atMicros : accepted
    const envelope = this.#envelope
    envelope.at = at
    envelope.entity = slot.id
    envelope.source = command.isVolatile ? this.#strings.get(command.bytes, command.causationOffset, command.causationBytes).text : source
    envelope.accepted = accepted
    envelope.outbox = slot.outbox
    const header = this.#header
    header.correlationBytes = command.correlationBytes
    header.causationBytes = command.causationBytes
    envelope.correlation =
      header.correlationBytes === 0 ? '' : this.#strings.get(command.bytes, command.correlationOffset, header.correlationBytes).text
    header.number = this.#nextNumber()
    header.expectedVersion = slot.version
    header.baseTerm = slot.term
    header.baseNumber = slot.appendNumber
    header.shard = slot.shard
    header.at = at
    header.accepted = accepted
    header.sequence = command.sequence
    header.entityBytes = slot.idLength
    header.sourceBytes = sourceBytes
    header.flags = at < slot.latestAt ? FLAG_LATE : 0

    const executed =
      fence === undefined ? this.#decideAndAppend(slot, command, entry) : this.#fault(slot, command, fence.code, fence.error.message)
    if (executed === 'done') this.#finish(slot, source, command, entry)
    const decision = this.#decision as Decision | undefined
    if (decision !== undefined && decision.volatileCount > 0 && executed !== 'no-room' && executed !== 'broken')
      this.#onVolatile?.(slot, decision, { at, correlation: envelope.correlation })
    return executed === 'unstored' ? 'done' : executed
  }

  #sourceOf(slot: Slot, command: CommandReader, length: number): string {
    const offset = command.sourceOffset
    if (!slot.isSource(command.view, offset, length)) slot.setSource(this.#strings.get(command.bytes, offset, length))
    return slot.sourceText
  }

  /**
   * Hands the state over as a snapshot, best right behind the append that made it: behind a later append of the entity the journal may not be
   * able to tell any more what it is a snapshot of, and leaves it out.
   */
  trySnapshot(slot: Slot): SnapshotSent {
    if (slot.lostVersion > 0) return this.#noSnapshot(slot)
    let bytes: Uint8Array
    try {
      bytes = encodeSnapshot(slot.model, { state: slot.state, outcomes: slot.outcomes, outbox: slot.outbox, latestAt: slot.latestAt })
    } catch (error) {
      if (!isMillraceError(error, 'ERR_STATE_NOT_PLAIN')) throw error
      return this.#noSnapshot(slot)
    }
    const sent = this.#journal.trySnapshot(slot.idBytes, slot.version, slot.term, slot.appendNumber, bytes)
    if (sent === 'never') return this.#noSnapshot(slot)
    if (sent === 'no-room') return sent
    slot.snapshotVersion = slot.version
    this.#counters.snapshots++
    return sent
  }

  #noSnapshot(slot: Slot): SnapshotSent {
    slot.snapshotTriedVersion = slot.version + SNAPSHOT_RETRY_ROWS
    this.#counters.snapshotsFailed++
    return 'never'
  }

  #nextNumber(): number {
    if (this.#appendNumber < APPEND_NUMBER_MAX) return this.#appendNumber + 1
    throw new MillraceError('ERR_APPEND_NUMBERS', {
      fact: 'the worker has used up the append numbers of its term',
      action: 'restart',
      values: { term: this.#term },
      next: 'start its successor with a higher term',
    })
  }

  #isDuplicate(slot: Slot, source: string, command: CommandReader, entry: InFlight): boolean {
    const known = slot.outcomes?.lookup(source, command.sequence)
    if (known === undefined) return false
    this.#counters.duplicates++
    entry.status = 'waiting'
    // What it repeats may itself not be durable yet.
    entry.waitPosition = slot.waitPosition
    // One too large for an answer was stored under larger channels.
    if (known === FORGOTTEN || known.bytes.length > this.#outcomeBytesMax) {
      entry.answerKind = ANSWER_FORGOTTEN
      return true
    }
    const isRefused = known.kind === OUTCOME_REFUSAL
    if (!isRefused && command.answer !== ANSWER_ALWAYS) return true
    entry.answerKind = isRefused ? ANSWER_REFUSED : ANSWER_DONE
    entry.answerVersion = known.version
    entry.outcome = known.bytes
    return true
  }

  /** False for one that is done already: then it is released when that is durable. */
  #isOwnPending(slot: Slot, command: CommandReader, entry: InFlight): boolean {
    this.#own = slot.lostVersion > 0 ? undefined : ownCommandOf(slot.outbox, command, this.#plant)
    if (this.#own !== undefined) return true
    const { waitPosition } = slot
    entry.status = 'waiting'
    entry.waitPosition = waitPosition
    return false
  }

  /** Appends rows that say what became of messages, caused by no command, as many of them as fit a frame; undefined when there is no room. */
  trySettle(slot: Slot, all: readonly OutboxRow[], accepted: number): SettledAppend | undefined {
    const { appends } = this.#journal
    const rows = rowsThatFit(all, appends.frameBytesMax - APPEND_HEADER_BYTES - slot.idLength)
    const header = settledHeader(slot, rows.length, this.#nextNumber(), this.#term, accepted)
    const offset = appends.tryClaim(appendHeaderBytes(header) + rows.length * ROW_HEADER_BYTES + outboxRowBytes(rows), APPEND_FRAME)
    if (offset < 0) return undefined
    this.#writeOutboxRows(slot, rows, writeAppendHeader(header, appends.bytes, appends.view, offset))
    appends.commit()
    const { number } = header
    this.#appendNumber = number
    slot.version += rows.length
    slot.term = this.#term
    slot.appendNumber = number
    slot.waitPosition = this.#journal.sentPosition
    this.#takeOutboxRows(slot, rows, header.at, '')
    return { appendNumber: number, position: slot.waitPosition, count: rows.length }
  }

  #writeOutboxRows(slot: Slot, rows: readonly OutboxRow[], offset: number): number {
    const { bytes, view } = this.#journal.appends
    let end = offset
    for (const row of rows) {
      end = writeRowHeader(this.#numbers.numberOfBuiltIn(slot.model, row.event), outboxRowBytes([row]), view, end)
      end = encodeOutboxRow(row, bytes, view, end)
    }
    return end
  }

  /** Folds rows that were appended; their data is the outbox's from then on. */
  #takeOutboxRows(slot: Slot, rows: readonly OutboxRow[], at: number, correlation: string): void {
    const outbox = (slot.outbox ??= new Outbox())
    takeRows(slot, outbox, rows, at, correlation)
    this.#onOutbox(slot, outbox, rows, slot.waitPosition)
  }

  #decideAndAppend(slot: Slot, command: CommandReader, entry: InFlight): Executed | 'unstored' {
    if (entry.parked !== undefined) return this.#fault(slot, command, 'PARKED', entry.parked)
    if (entry.applyFailure !== undefined) return this.#codeFault(slot, command, 'APPLY_FAILED', entry.applyFailure)
    if (this.#own?.isLate === true) return this.#append(slot, command, undefined, OUTCOME_NONE, NO_BYTES, undefined) as Executed
    const { model, commandIndex, codec, read } = this.#plant.commands[command.commandNumber] as PlantModel['commands'][number]
    assert(model === slot.model, 'a command is of the type of its entity')
    const down = model.isKinCommand(commandIndex) ? undefined : whyDown(slot)
    if (down?.code === 'SUSPENDED') this.#own = postponed(this.#own)
    if (down !== undefined) return this.#fault(slot, command, down.code, down.message)
    const sent = codec.decode(command.bytes, command.view, command.payloadOffset, command.payloadBytes)
    const data = read === undefined ? sent : read(sent)
    const decision = model.decide(slot.state, commandIndex, data, this.#envelope)
    this.#decision = decision
    if (this.#own === undefined && model.isVolatile(commandIndex) && !isToBeStored(slot, decision))
      return this.#leaveUnstored(slot, command, entry, decision)
    if (decision.kind === 'failed') return this.#codeFault(slot, command, 'DECIDE_FAILED', messageOf(decision.error))
    const isRefused = decision.kind === 'refused'
    const outcome = outcomeBytes(decision, this.#outcomeBytesMax)
    if (outcome.length > this.#outcomeBytesMax) return this.#fault(slot, command, 'TOO_LARGE', OUTCOME_TOO_LARGE)
    const appended = this.#append(slot, command, entry, isRefused ? OUTCOME_REFUSAL : OUTCOME_REPLY, outcome, decision)
    return appended === 'too-large' ? this.#fault(slot, command, 'TOO_LARGE', EVENTS_TOO_LARGE) : appended
  }

  #codeFault(slot: Slot, command: CommandReader, code: CommandFault['code'], message: string): Executed {
    this.#onFault?.({ entity: slot.id, code, message })
    return this.#fault(slot, command, code, message)
  }

  /**
   * A receipt row with the refusal. Faults are marked, since entities may refuse with any code, and shortened to their code where the channels
   * are too small: a command that can be neither done nor refused would stop its channel for ever.
   */
  #fault(slot: Slot, command: CommandReader, code: string, message: string): Executed {
    this.#errorRows = errorRows(slot, code, message, this.#envelope)
    let appended = this.#append(slot, command, undefined, OUTCOME_REFUSAL, faultBytes(code, message, this.#outcomeBytesMax), undefined)
    if (appended !== 'too-large') return appended
    this.#header.correlationBytes = 0
    this.#header.causationBytes = 0
    appended = this.#append(slot, command, undefined, OUTCOME_REFUSAL, shortFault(code), undefined)
    if (appended !== 'too-large') return appended
    throw channelTooSmall(this.#journal.appends)
  }

  /** As a fault, and nothing is remembered of the command. */
  #refuseUnstored(slot: Slot, entry: InFlight, { code, error }: Fence): Executed {
    this.#counters.commands++
    this.#counters.refusals++
    answerUnstored(slot, entry, ANSWER_REFUSED, faultBytes(code, error.message, this.#outcomeBytesMax))
    return 'done'
  }

  /** A volatile command that changed nothing. */
  #leaveUnstored(slot: Slot, command: CommandReader, entry: InFlight, decision: Decision): 'unstored' {
    this.#counters.volatileDone++
    if (decision.kind === 'failed') this.#onFault?.({ entity: slot.id, code: 'DECIDE_FAILED', message: messageOf(decision.error) })
    const bytes = outcomeBytes(decision, this.#outcomeBytesMax)
    const isTooLarge = bytes.length > this.#outcomeBytesMax
    const done = command.answer === ANSWER_ALWAYS ? ANSWER_DONE : 0
    const answerKind = isTooLarge || decision.kind !== 'done' ? ANSWER_REFUSED : done
    if (answerKind === ANSWER_REFUSED) this.#counters.refusals++
    answerUnstored(slot, entry, answerKind, isTooLarge ? faultBytes('TOO_LARGE', OUTCOME_TOO_LARGE, this.#outcomeBytesMax) : bytes)
    return 'unstored'
  }

  /** One append with the decision's events, or with a receipt when there are none. */
  #append(
    slot: Slot,
    command: CommandReader,
    entry: InFlight | undefined,
    outcomeKind: OutcomeKind,
    outcome: Uint8Array,
    decision: Decision | undefined,
  ): Executed | 'too-large' {
    const header = this.#header
    const eventCount = decision?.eventCount ?? 0
    this.#outcome = outcome
    header.outcomeBytes = outcome.length
    header.outcomeKind = outcomeKind
    const isTelling = this.#own !== undefined || (decision?.outbox ?? this.#errorRows).length > 0
    const rows = isTelling ? this.#rowsOfOutbox(outcomeKind, decision) : NO_ROWS
    if (isTelling && !this.#fit(slot, rows)) return 'too-large'
    const outboxBytes = isTelling ? outboxRowBytes(rows) : 0
    header.rowCount = Math.max(1, eventCount + rows.length)
    const { appends } = this.#journal
    // They lie in the command as they are to lie in the append: packed, in this order.
    const stringBytes = header.entityBytes + header.sourceBytes + header.correlationBytes + header.causationBytes
    const rowsAt = APPEND_HEADER_BYTES + stringBytes + outcome.length
    const offset = appends.tryClaim(rowsAt + this.#rowsBytes(slot, decision, eventCount) + outboxBytes, APPEND_FRAME)
    if (offset === FRAME_TOO_LARGE) return 'too-large'
    if (offset < 0) return 'no-room'
    copyWords(command.view, command.entityOffset, appends.view, writeAppendNumbers(header, appends.view, offset), stringBytes)
    const end = offset + rowsAt
    if (outcome.length > 0) appends.bytes.set(outcome, end - outcome.length)
    const eventsAt = isTelling ? this.#writeOutboxRows(slot, rows, end) : end
    if (header.rowCount > eventCount + rows.length) writeRowHeader(RECEIPT_TYPE, 0, appends.view, end)
    else if (eventCount > 0 && !this.#tryEvents(slot, entry as InFlight, decision as Decision, eventsAt)) {
      appends.abort()
      return 'broken'
    }
    appends.commit()
    this.#appendNumber = header.number
    this.#eventCount = eventCount
    this.#outboxRows = rows
    return 'done'
  }

  /** What the command was told to tell, behind what becomes of itself when the entity had sent it. */
  #rowsOfOutbox(outcomeKind: OutcomeKind, decision: Decision | undefined): readonly OutboxRow[] {
    const told = decision?.outbox ?? this.#errorRows
    const own = this.#own === undefined ? [] : [ownSettledRow(this.#own, outcomeKind, decision, this.#header.accepted)]
    return [...own, ...told]
  }

  /** Whether the messages among the rows can be carried to where they go. */
  #fit(slot: Slot, rows: readonly OutboxRow[]): boolean {
    const { correlationBytes } = this.#header
    return rows.every((row) => messageBytes(row, slot, correlationBytes, this.#plant) <= this.#messageBytesMax)
  }

  #rowsBytes(slot: Slot, decision: Decision | undefined, eventCount: number): number {
    let bytes = this.#header.rowCount * ROW_HEADER_BYTES
    for (let index = 0; index < eventCount; index++) {
      const { eventIndexes, events } = decision as Decision
      const size = slot.model.eventCodec(eventIndexes[index] as number).encodedBytes(events[index] as object)
      this.#sizes[index] = size
      bytes += size
    }
    return bytes
  }

  /** Writes all of them before any is applied: from then on they belong to the state. False when `apply` threw. */
  #tryEvents(slot: Slot, entry: InFlight, decision: Decision, offset: number): boolean {
    const { bytes, view } = this.#journal.appends
    const { model } = slot
    const { eventCount, eventIndexes, events } = decision
    let end = offset
    for (let index = 0; index < eventCount; index++) {
      const eventIndex = eventIndexes[index] as number
      end = writeRowHeader(this.#numbers.numberOf(model, eventIndex), this.#sizes[index] as number, view, end)
      end = model.eventCodec(eventIndex).encode(events[index] as object, bytes, view, end)
    }
    try {
      for (let index = 0; index < eventCount; index++) model.apply(slot.state, eventIndexes[index] as number, events[index] as object)
      return true
    } catch (error) {
      entry.applyFailure = messageOf(error)
      return false
    }
  }

  #finish(slot: Slot, source: string, command: CommandReader, entry: InFlight): void {
    const header = this.#header
    const { sentPosition } = this.#journal
    slot.version += header.rowCount
    slot.term = this.#term
    slot.appendNumber = header.number
    if (header.at > slot.latestAt) slot.latestAt = header.at
    slot.waitPosition = sentPosition
    if (source !== '') (slot.outcomes ??= createOutcomes()).record(source, header.sequence, header.outcomeKind, this.#outcome, slot.version)
    if (this.#outboxRows.length > 0)
      this.#takeOutboxRows(slot, this.#outboxRows, header.at, header.correlationBytes === 0 ? '' : this.#envelope.correlation)
    const isRefused = header.outcomeKind === OUTCOME_REFUSAL
    this.#counters.commands++
    if (isRefused) this.#counters.refusals++
    this.#counters.events += this.#eventCount
    if (header.flags !== 0) this.#counters.late++
    entry.status = 'waiting'
    entry.waitPosition = sentPosition
    entry.appendNumber = header.number
    if (isRefused || command.answer === ANSWER_ALWAYS) {
      entry.answerKind = isRefused ? ANSWER_REFUSED : ANSWER_DONE
      entry.answerVersion = slot.version
      entry.outcome = this.#outcome
    }
    if (isSnapshotDue(slot, this.#snapshotEvery)) this.trySnapshot(slot)
  }
}

const NO_ROWS: readonly OutboxRow[] = []
