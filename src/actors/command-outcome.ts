import { MillraceError, messageOf } from '#base/errors.js'
import { pack } from '#base/pack.js'
import { ANSWER_FORGOTTEN } from '#entity/answer-frame.js'
import { ANSWER_ALWAYS, type CommandReader } from '#entity/command-frame.js'
import type { Decision } from '#entity/index.js'
import { type InFlight, NO_BYTES } from './in-flight.js'
import type { Slot } from './slot.js'

/** Of a message that a handler threw, as it stands in a refusal. */
const MESSAGE_CHARACTERS_MAX = 500
const NOTHING = { waitPosition: Number.NEGATIVE_INFINITY, version: 0 }
export const OUTCOME_TOO_LARGE = 'the reply or refusal of the command is larger than the bus carries'

/** A decision as it is stored and answered. */
export function outcomeBytes({ kind, code, detail, reply, error }: Decision, bytesMax: number): Uint8Array {
  if (kind === 'failed') return faultBytes('DECIDE_FAILED', messageOf(error), bytesMax)
  if (kind === 'refused') return pack([code, detail])
  return reply === undefined ? NO_BYTES : pack(reply)
}

/** Faults are marked, since entities may refuse with any code, and shortened to their code where the channels are too small. */
export function faultBytes(code: string, message: string, bytesMax: number): Uint8Array {
  const long = pack([code, { message: message.slice(0, MESSAGE_CHARACTERS_MAX) }, true])
  return long.length <= bytesMax ? long : shortFault(code)
}

export function shortFault(code: string): Uint8Array {
  return pack([code, undefined, true])
}

/** Not even the code of a refusal fits. */
export function channelTooSmall(appends: { readonly name: string; readonly frameBytesMax: number }): MillraceError {
  return new MillraceError('ERR_CHANNEL_TOO_SMALL', {
    fact: 'the appends channel cannot carry the refusal of a command',
    action: 'operator',
    values: { channel: appends.name, frameBytesMax: appends.frameBytesMax },
    next: 'raise bus.capacityBytes',
  })
}

/** A volatile command that may have been done before: whoever asked hears that nobody knows. */
export function passOver(command: CommandReader, entry: InFlight): void {
  entry.request = command.request
  entry.doorTerm = command.doorTerm
  answerUnstored(NOTHING, entry, command.answer === ANSWER_ALWAYS ? ANSWER_FORGOTTEN : 0, NO_BYTES)
}

/** Whether a volatile command came to something that is stored: it changed something, or is an error of which somebody is to hear. */
export function isToBeStored({ outbox }: Slot, { kind, eventCount, outbox: rows }: Decision): boolean {
  return eventCount > 0 || rows.length > 0 || (kind === 'failed' && outbox?.kin !== undefined)
}

/** A command that leaves no row. What comes of it may be told all the same when what it saw is durable. `answerKind`: 0 without an answer. */
export function answerUnstored(
  { waitPosition, version }: Pick<Slot, 'waitPosition' | 'version'>,
  entry: InFlight,
  answerKind: number,
  outcome: Uint8Array,
): void {
  entry.status = 'waiting'
  entry.waitPosition = waitPosition
  entry.answerKind = answerKind
  entry.answerVersion = version
  entry.outcome = answerKind === 0 ? NO_BYTES : outcome
}
