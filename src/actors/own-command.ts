import type { CommandReader } from '#entity/command-frame.js'
import { type Decision, type Message, type Outbox, type OutboxRow, type PlantModel, type SettledAs, settledRow } from '#entity/index.js'
import { OUTCOME_REFUSAL, type OutcomeKind } from '#journal/append-frame.js'

/** A command that an entity has sent itself: a timer that went off, a message to itself, or an answer. What becomes of it is stored with its own rows. */
export interface OwnCommand {
  readonly message: Message
  /** Of an ask: what the answer says came of it. */
  readonly answered: SettledAs | undefined
  /** The answer came when nobody wanted it any more: it is only noted that it did. */
  readonly isLate: boolean
  /** A timer of an entity that takes no commands at present: it goes off later. */
  readonly isPostponed?: boolean
}

/** Undefined for one that was executed before, or cancelled meanwhile, or is out of date. */
export function ownCommandOf(outbox: Outbox | undefined, command: CommandReader, plant: PlantModel): OwnCommand | undefined {
  const message = outbox?.get(command.sequence)
  if (message === undefined) return undefined
  if (message.kind === 'timer') return command.atMicros === message.due ? { message, answered: undefined, isLate: false } : undefined
  if (message.kind === 'tell') return { message, answered: undefined, isLate: false }
  const { codec } = plant.commands[command.commandNumber] as PlantModel['commands'][number]
  const data = codec.decode(command.bytes, command.view, command.payloadOffset, command.payloadBytes)
  const { outcome } = data as unknown as { readonly outcome: SettledAs }
  return message.isLate && outcome === 'timed-out' ? undefined : { message, answered: outcome, isLate: message.isLate }
}

const POSTPONED_MICROS = 1_000_000

/** The same for an entity that is suspended, of which nobody knows yet whether it goes on: a timer is not lost meanwhile. */
export function postponed(own: OwnCommand | undefined): OwnCommand | undefined {
  return own?.message.kind === 'timer' ? { ...own, isPostponed: true } : own
}

/** The row that says what became of it. `accepted`: when it was executed. */
export function ownSettledRow(
  { message, answered, isPostponed }: OwnCommand,
  outcomeKind: OutcomeKind,
  decision: Decision | undefined,
  accepted: number,
): OutboxRow {
  const { number, every } = message
  const own = outcomeKind !== OUTCOME_REFUSAL ? 'done' : decision === undefined ? 'failed' : 'refused'
  const again = isPostponed === true ? accepted + POSTPONED_MICROS : undefined
  return settledRow({ number, outcome: answered ?? own, due: every === 0 ? again : nextDue(message, accepted) })
}

/** Times that have passed by are left out. */
function nextDue({ due, every }: Message, accepted: number): number {
  const micros = every * 1000
  return due + micros * Math.max(1, Math.floor((accepted - due) / micros) + 1)
}
