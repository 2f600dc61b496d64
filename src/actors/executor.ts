import { messageOf } from '#base/errors.js'
import { pack } from '#base/pack.js'
import { FRAME_TOO_LARGE } from '#bus/index.js'
import { ANSWER_DONE, ANSWER_FORGOTTEN, ANSWER_REFUSED } from '#entity/answer-frame.js'
import { ANSWER_ALWAYS, type CommandReader } from '#entity/command-frame.js'
import { type Decision, encodeSnapshot, FORGOTTEN, type PlantModel } from '#entity/index.js'
import {
  type AppendHeader,
  appendHeaderBytes,
  FLAG_LATE,
  OUTCOME_REFUSAL,
  OUTCOME_REPLY,
  RECEIPT_TYPE,
  ROW_HEADER_BYTES,
  writeAppendHeader,
  writeRowHeader,
} from '#journal/append-frame.js'
import type { JournalClient } from '#serving/journal-client.js'
import { APPEND_FRAME } from '#serving/serving-frames.js'
import { ByteStrings } from './byte-strings.js'
import type { EventNumbers } from './event-numbers.js'
import { type InFlight, NO_BYTES } from './in-flight.js'
import type { Slot } from './slot.js'
import type { WorkerCounters } from './worker-counters.js'

/** What executing a command came to: `done`, or `no-room` in the appends channel (nothing happened, try again), or its `apply` threw (`broken`). */
export type Executed = 'done' | 'no-room' | 'broken'

/** Rows of one append are counted in 16 bits. */
const ROWS_PER_COMMAND_MAX = 65_535

/** Mutable twin of AppendHeader, filled anew for each append. */
type Header = { -readonly [Key in keyof AppendHeader]: AppendHeader[Key] }

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
  readonly #outcomeBytesMax: number
  readonly #strings = new ByteStrings()
  readonly #envelope = { at: 0, entity: '', source: '', correlation: '' }
  readonly #sizes: number[] = []
  readonly #header: Header
  #appendNumber = 0
  #brokenBy = ''

  constructor(options: {
    readonly plant: PlantModel
    readonly journal: JournalClient
    readonly term: number
    readonly numbers: EventNumbers
    readonly counters: WorkerCounters
    readonly snapshotEvery: number
    /** Largest outcome that an answer frame can carry. */
    readonly outcomeBytesMax: number
  }) {
    this.#plant = options.plant
    this.#journal = options.journal
    this.#term = options.term
    this.#numbers = options.numbers
    this.#counters = options.counters
    this.#snapshotEvery = options.snapshotEvery
    this.#outcomeBytesMax = options.outcomeBytesMax
    this.#header = {
      number: 0,
      term: options.term,
      expectedVersion: 0,
      baseTerm: 0,
      baseNumber: 0,
      shard: 0,
      rowCount: 0,
      at: 0,
      accepted: 0,
      sequence: 0,
      entity: NO_BYTES,
      source: NO_BYTES,
      correlation: NO_BYTES,
      causation: NO_BYTES,
      outcome: NO_BYTES,
      outcomeKind: OUTCOME_REPLY,
      flags: 0,
    }
  }

  /** What `apply` threw in the last `broken` execution. */
  get brokenBy(): string {
    return this.#brokenBy
  }

  execute(slot: Slot, command: CommandReader, entry: InFlight): Executed {
    const source = this.#strings.get(command.bytes, command.sourceOffset, command.sourceBytes)
    entry.request = command.request
    entry.doorTerm = command.doorTerm
    if (source.bytes.length > 0 && this.#isDuplicate(slot, source.text, command, entry)) return 'done'

    const correlation = this.#strings.get(command.bytes, command.correlationOffset, command.correlationBytes)
    const accepted = command.acceptedMicros
    const at = Number.isNaN(command.atMicros) ? accepted : command.atMicros
    this.#envelope.at = at
    this.#envelope.entity = slot.id
    this.#envelope.source = source.text
    this.#envelope.correlation = correlation.text

    const decision = this.#decide(slot, command, entry)
    let refusal: readonly [code: string, detail: unknown] | undefined
    if (decision === undefined) refusal = ['APPLY_FAILED', { message: slot.poison?.message }]
    else if (decision.kind === 'refused') refusal = [decision.code, decision.detail]
    else if (decision.kind === 'failed') refusal = ['DECIDE_FAILED', { message: messageOf(decision.error) }]
    let outcome = this.#packOutcome(refusal, decision)
    let eventCount = 0
    if (outcome === undefined || (decision !== undefined && decision.eventCount > ROWS_PER_COMMAND_MAX)) {
      refusal = ['TOO_LARGE', { message: 'the events or the reply of one command are larger than the bus carries' }]
      outcome = pack(refusal)
    } else if (refusal === undefined) {
      eventCount = (decision as Decision).eventCount
    }

    const header = this.#header
    header.number = this.#appendNumber + 1
    header.expectedVersion = slot.version
    header.baseTerm = slot.term
    header.baseNumber = slot.appendNumber
    header.shard = slot.shard
    header.at = at
    header.accepted = accepted
    header.sequence = command.sequence
    header.entity = slot.idBytes
    header.source = source.bytes
    header.correlation = correlation.bytes
    header.causation = this.#strings.get(command.bytes, command.causationOffset, command.causationBytes).bytes
    header.flags = at < slot.latestAt ? FLAG_LATE : 0
    const isRefused = refusal !== undefined
    let executed = this.#append(slot, header, outcome, isRefused, isRefused ? undefined : decision, eventCount)
    if (executed === 'too-large') {
      outcome = pack(['TOO_LARGE', { message: 'the events of one command are larger than the bus carries' }])
      executed = this.#append(slot, header, outcome, true, undefined, 0)
      refusal = ['TOO_LARGE', undefined]
    }
    if (executed !== 'done') return executed === 'too-large' ? 'no-room' : executed

    this.#finish(slot, source.text, header, outcome, refusal !== undefined, command, entry)
    return 'done'
  }

  #isDuplicate(slot: Slot, source: string, command: CommandReader, entry: InFlight): boolean {
    const known = slot.outcomes?.lookup(source, command.sequence)
    if (known === undefined) return false
    this.#counters.duplicates++
    entry.status = 'waiting'
    entry.waitPosition = slot.waitPosition ?? this.#journal.releasedPosition()
    if (known === FORGOTTEN) {
      entry.answerKind = ANSWER_FORGOTTEN
      entry.answerVersion = 0
      return true
    }
    const isRefused = known.kind === OUTCOME_REFUSAL
    if (!isRefused && command.answer !== ANSWER_ALWAYS) return true
    entry.answerKind = isRefused ? ANSWER_REFUSED : ANSWER_DONE
    entry.answerVersion = known.version
    entry.outcome = known.bytes
    return true
  }

  /** Undefined for the command whose events `apply` could not take before. */
  #decide(slot: Slot, command: CommandReader, entry: InFlight): Decision | undefined {
    if (slot.poison?.entry === entry) return undefined
    const { model, commandIndex } = this.#plant.commands[command.commandNumber] as PlantModel['commands'][number]
    const data = model.commandCodec(commandIndex).decode(command.bytes, command.view, command.payloadOffset, command.payloadBytes)
    return model.decide(slot.state, commandIndex, data, this.#envelope)
  }

  /** Undefined when it cannot be carried. */
  #packOutcome(refusal: readonly unknown[] | undefined, decision: Decision | undefined): Uint8Array | undefined {
    const value = refusal ?? decision?.reply
    if (value === undefined) return NO_BYTES
    const bytes = pack(value)
    return bytes.length <= this.#outcomeBytesMax ? bytes : undefined
  }

  #append(
    slot: Slot,
    header: Header,
    outcome: Uint8Array,
    isRefused: boolean,
    decision: Decision | undefined,
    eventCount: number,
  ): Executed | 'too-large' {
    header.outcome = outcome
    header.outcomeKind = isRefused ? OUTCOME_REFUSAL : OUTCOME_REPLY
    header.rowCount = Math.max(1, eventCount)
    const { appends } = this.#journal
    const model = slot.model
    let frameBytes = appendHeaderBytes(header) + header.rowCount * ROW_HEADER_BYTES
    for (let index = 0; index < eventCount; index++) {
      const size = model.eventCodec((decision as Decision).eventIndexes[index] as number).encodedBytes((decision as Decision).events[index] as object)
      this.#sizes[index] = size
      frameBytes += size
    }
    const offset = appends.tryClaim(frameBytes, APPEND_FRAME)
    if (offset === FRAME_TOO_LARGE) return 'too-large'
    if (offset < 0) return 'no-room'
    const { bytes, view } = appends
    let end = writeAppendHeader(header, bytes, view, offset)
    if (eventCount === 0) writeRowHeader(RECEIPT_TYPE, 0, view, end)
    for (let index = 0; index < eventCount; index++) {
      const eventIndex = (decision as Decision).eventIndexes[index] as number
      end = writeRowHeader(this.#numbers.numberOf(model, eventIndex), this.#sizes[index] as number, view, end)
      end = model.eventCodec(eventIndex).encode((decision as Decision).events[index] as object, bytes, view, end)
    }
    try {
      for (let index = 0; index < eventCount; index++) {
        model.apply(slot.state, (decision as Decision).eventIndexes[index] as number, (decision as Decision).events[index] as object)
      }
    } catch (error) {
      appends.abort()
      this.#brokenBy = messageOf(error)
      return 'broken'
    }
    appends.commit()
    return 'done'
  }

  #finish(slot: Slot, source: string, header: Header, outcome: Uint8Array, isRefused: boolean, command: CommandReader, entry: InFlight): void {
    const { appends } = this.#journal
    this.#appendNumber = header.number
    slot.version += header.rowCount
    slot.term = this.#term
    slot.appendNumber = header.number
    slot.latestAt = Math.max(slot.latestAt, header.at)
    slot.waitPosition = appends.position
    slot.poison = undefined
    if (source !== '') slot.outcomes?.record(source, header.sequence, header.outcomeKind, outcome, slot.version)
    this.#counters.commands++
    this.#counters.events += isRefused ? 0 : header.rowCount
    if (isRefused) this.#counters.refusals++
    if (header.flags !== 0) this.#counters.late++
    entry.status = 'waiting'
    entry.waitPosition = appends.position
    entry.appendNumber = header.number
    if (isRefused || command.answer === ANSWER_ALWAYS) {
      entry.answerKind = isRefused ? ANSWER_REFUSED : ANSWER_DONE
      entry.answerVersion = slot.version
      entry.outcome = outcome
    }
    if (slot.version - slot.snapshotVersion >= Math.min(this.#snapshotEvery, slot.model.snapshotEvery)) this.trySnapshot(slot)
  }

  /** Hands the state over as a snapshot; it must be called right behind the append that made it. */
  trySnapshot(slot: Slot): boolean {
    const bytes = encodeSnapshot(slot.model, { state: slot.state, outcomes: slot.outcomes, latestAt: slot.latestAt })
    if (!this.#journal.trySnapshot(slot.idBytes, slot.version, slot.term, slot.appendNumber, bytes)) return false
    slot.snapshotVersion = slot.version
    slot.waitPosition = this.#journal.appends.position
    this.#counters.snapshots++
    return true
  }
}
