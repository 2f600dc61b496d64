import { unpack } from '#base/pack.js'
import { decodeSnapshot, type EntityModel } from '#entity/index.js'
import { OUTCOME_REFUSAL, type Row, type Snapshot } from '#journal/index.js'
import type { Settlement } from '#ingest/door.js'
import type { PlantRig } from './plant-rig.js'
import type { SentCommand } from './rig-client.js'
import type { TallyState } from './tally.js'

/** What one command left in the log. */
interface Append {
  readonly rows: readonly Row[]
  readonly last: Row
}

/** What somebody was told of an entity while the plant ran. */
export interface Told {
  readonly entity: string
  readonly version: number
  readonly chain: number
}

const FAULTS: Readonly<Record<string, string>> = { fail: 'DECIDE_FAILED', break: 'APPLY_FAILED', swell: 'TOO_LARGE' }

/**
 * Holds the log against what was sent and answered, folding it with nothing but the entity's own handlers: the slow twin of the whole path.
 * Throws with the first thing that is wrong.
 */
export class LogCheck {
  readonly #model: EntityModel
  readonly #commands: ReadonlyMap<string, SentCommand>
  readonly #states = new Map<string, { state: TallyState; version: number; latestAt: number }>()
  /** `entity@version` → what its state was then. */
  readonly #chains = new Map<string, number>()
  readonly #highest = new Map<string, number>()
  readonly #appends = new Map<number, Append>()

  constructor(rig: PlantRig, sent: readonly SentCommand[]) {
    this.#model = rig.model.models[0] as EntityModel
    this.#commands = new Map(sent.map((one) => [String(one.id), one]))
  }

  /** The whole log, in order of position. */
  take(rows: readonly Row[]): void {
    let position = 0
    for (let index = 0; index < rows.length; ) {
      const first = rows[index] as Row
      const own = rows
        .slice(index)
        .findIndex((row) => row.entity !== first.entity || row.term !== first.term || row.appendNumber !== first.appendNumber)
      const count = own < 0 ? rows.length - index : own
      const group = rows.slice(index, index + count)
      for (const row of group) must(row.position === position++, `positions are dense at ${row.position}`)
      this.#takeAppend({ rows: group, last: group.at(-1) as Row })
      index += count
    }
  }

  /** Everything that was answered is in the log and was answered right; with `isOver` everything that could be answered was. */
  checkAnswers(isOver = true): void {
    for (const sent of this.#commands.values()) {
      const append = this.#appends.get(sent.id)
      if (isOver) must(sent.client.isSettled, `all of ${sent.client.source} is settled`)
      for (const [nth, settlement] of sent.settlements.entries()) this.#checkSettlement(sent, append, settlement, nth)
    }
  }

  checkTold(told: readonly Told[]): void {
    for (const { entity, version, chain } of told) {
      const stored = version === 0 ? 0 : this.#chains.get(`${entity}@${version}`)
      must(stored === chain, `what was read of ${entity} at ${version} became durable: ${stored} and ${chain}`)
    }
  }

  checkSnapshots(stored: ReadonlyMap<string, readonly Snapshot[]>, rows: readonly Row[]): void {
    for (const [entity, snapshots] of stored) {
      for (const { version, position, bytes } of snapshots) {
        const decoded = decodeSnapshot(this.#model, bytes)
        if (decoded.kind !== 'ok') throw new Error(`the snapshot of ${entity} at ${version}: ${decoded.reason}`)
        const { chain } = decoded.state as TallyState
        must(chain === this.#chains.get(`${entity}@${version}`), `the snapshot of ${entity} at ${version} is of its rows`)
        const skipped = rows.find((row) => row.entity === entity && row.version > version && row.position < position)
        must(skipped === undefined, `no row of ${entity} above ${version} lies before ${position}: ${skipped?.position}`)
      }
    }
  }

  #takeAppend(append: Append): void {
    const { rows, last } = append
    const { entity } = last
    let known = this.#states.get(entity)
    if (known === undefined) this.#states.set(entity, (known = { state: this.#model.initial() as TallyState, version: 0, latestAt: 0 }))
    const sent = this.#commands.get(last.correlation)
    if (sent !== undefined) this.#checkAppend(sent, append, known)
    for (const row of rows) {
      must(row.version === ++known.version, `${entity} goes on with version ${known.version}, not ${row.version}`)
      must(sent === undefined || row.isLate === row.at < known.latestAt, `row ${row.position} says rightly whether it is late`)
      must((row.outcomeKind === 0) === (row !== last) || last.source === '', `only the last row of a command has its outcome`)
      if (row.event !== undefined) this.#model.apply(known.state, this.#model.eventIndex(row.event), { ...row.data })
      this.#chains.set(`${entity}@${row.version}`, known.state.chain)
    }
    known.latestAt = Math.max(known.latestAt, last.at)
  }

  #checkAppend(sent: SentCommand, append: Append, before: { readonly state: TallyState }): void {
    const { rows, last } = append
    const { command, id } = sent
    must(!this.#appends.has(id), `command ${id} took effect once`)
    this.#appends.set(id, append)
    must(last.entity === command.entity, `command ${id} is with its entity`)
    if (command.source !== '') {
      must(last.source === command.source && last.sequence === command.sequence, `command ${id} keeps its number`)
      const lane = `${command.source} ${command.entity}`
      must(command.sequence > (this.#highest.get(lane) ?? 0), `${lane} is in order at ${command.sequence}`)
      this.#highest.set(lane, command.sequence)
    }
    const { state } = before
    const expected = this.#model.decide(state, this.#model.commandIndex(command.command), command.data, {
      at: last.at,
      entity: last.entity,
      source: last.source,
      correlation: last.correlation,
    })
    const fault = FAULTS[command.command]
    if (fault !== undefined) {
      must(rows.length === 1 && last.event === undefined, `command ${id} left a receipt`)
      must(codeOf(last) === fault, `command ${id} failed with ${fault}`)
      return
    }
    const outcome = last.outcome.length === 0 ? undefined : unpack(last.outcome)
    if (expected.kind === 'refused') {
      must(same(outcome, [expected.code, expected.detail]), `command ${id} was refused as it would be again: ${show(outcome)}`)
    } else {
      must(
        last.outcomeKind !== OUTCOME_REFUSAL && same(outcome, expected.reply),
        `command ${id} has the reply of its state: ${show(outcome)}`,
      )
    }
    must(rows.length === Math.max(1, expected.eventCount), `command ${id} has all its events and no more`)
    for (let index = 0; index < expected.eventCount; index++) {
      must(same(rows[index]?.data, expected.events[index]), `event ${index} of command ${id} is what was decided`)
    }
  }

  #checkSettlement(sent: SentCommand, append: Append | undefined, settlement: Settlement, nth: number): void {
    const { id, answer, client } = sent
    if (settlement.kind === 'forgotten') {
      must(nth > 0 && client.mayBeForgotten(sent), `the answer to ${id} is remembered`)
      must(append !== undefined, `command ${id} was done before it was forgotten`)
      return
    }
    if (append === undefined) throw new Error(`command ${id} was acknowledged and is not in the log: ${show(settlement)}`)
    const { last } = append
    const isRefusal = last.outcomeKind === OUTCOME_REFUSAL
    const outcome = last.outcome.length === 0 ? undefined : unpack(last.outcome)
    const told = `answer ${nth} to command ${id}: ${show(settlement)}, stored ${show(outcome)} at ${last.version}`
    if (settlement.kind === 'done') {
      must(!isRefusal, told)
      if (answer === 'always') must(settlement.version === last.version && same(settlement.reply, outcome), told)
    } else if (settlement.kind === 'refused') {
      must(isRefusal && settlement.version === last.version, told)
      must(same([settlement.code, settlement.detail], outcome), told)
    } else {
      must(isRefusal && settlement.message.startsWith(codeOf(last)), told)
    }
  }
}

function codeOf(row: Row): string {
  return row.outcomeKind === OUTCOME_REFUSAL ? unpack<[string]>(row.outcome)[0] : ''
}

function must(condition: boolean, claim: string): void {
  if (!condition) throw new Error(`not so: ${claim}`)
}

function same(a: unknown, b: unknown): boolean {
  return show(a) === show(b)
}

function show(value: unknown): string {
  return JSON.stringify(value, (_, one) => (one === undefined ? 'undefined' : one))
}
