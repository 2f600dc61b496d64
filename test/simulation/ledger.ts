import type { EntityId } from '#base/ids.js'
import { unpack } from '#base/pack.js'
import { OUTCOME_REFUSAL, type Row } from '#journal/index.js'
import { EffectAudit, type Ping } from './effect-audit.js'
import { KinAudit } from './kin-audit.js'
import { MessageAudit, SENDER } from './message-audit.js'
import type { TallyCommand } from './tally.js'

/** What a device was told of a command. `acknowledged`: that it was done, and no more. */
export type Answer =
  | { readonly kind: 'acknowledged' }
  | { readonly kind: 'done' | 'refused'; readonly version: number; readonly chain: number | undefined }
  | { readonly kind: 'forgotten' }

/** A command as its device remembers it. */
export interface SentCommand {
  readonly id: number
  /** As it stands in the rows; empty when the device numbers nothing. */
  readonly source: string
  readonly sequence: number
  readonly entity: EntityId
  readonly command: TallyCommand
  readonly answers: Answer[]
}

/** What somebody read of an entity while the plant ran. */
export interface Reading {
  readonly entity: EntityId
  readonly version: number
  readonly chain: number
}

/** What a command left in the log. */
interface Found {
  readonly version: number
  readonly isRefusal: boolean
  /** Of the entity, before it. */
  readonly chain: number
}

/** Commands that add their id, once. */
const ADDING: ReadonlySet<TallyCommand> = new Set(['add', 'hand', 'ring', 'adopt', 'hurt'])

/** Of how many commands per source and entity the outcomes are remembered. */
const REMEMBERED = 16

/**
 * The independent record: what devices have sent and were told, held against the rows of the log. It knows what the entity does by itself and uses no code of
 * the plant but the reader of rows. `check` answers what is wrong first, or undefined.
 */
export class Ledger {
  readonly sent: SentCommand[] = []
  readonly readings: Reading[] = []
  readonly pings: Ping[] = []

  /** `isOver`: everything that devices sent with a number was answered by now. */
  check(rows: readonly Row[], isOver: boolean): string | undefined {
    try {
      new Audit(this, rows).run(isOver)
      return undefined
    } catch (error) {
      if (error instanceof Wrong) return error.message
      throw error
    }
  }
}

class Wrong extends Error {}

class Audit {
  readonly #ledger: Ledger
  readonly #rows: readonly Row[]
  readonly #found = new Map<SentCommand, Found>()
  readonly #entities = new Map<string, { chain: number; version: number }>()
  /** `entity@version` → its chain then. */
  readonly #chains = new Map<string, number>()
  /** Per source and entity the sequences in the log, in order. */
  readonly #lanes = new Map<string, number[]>()
  readonly #messages = new MessageAudit(must)
  readonly #kin = new KinAudit(must)
  readonly #effects: EffectAudit

  constructor(ledger: Ledger, rows: readonly Row[]) {
    this.#ledger = ledger
    this.#rows = rows
    this.#effects = new EffectAudit(ledger.pings, must)
  }

  run(isOver: boolean): void {
    this.#takeRows()
    this.#messages.finish(isOver)
    this.#effects.finish(isOver)
    this.#kin.finish(isOver)
    for (const sent of this.#ledger.sent) {
      const found = this.#found.get(sent)
      sent.answers.forEach((answer, nth) => this.#checkAnswer(sent, found, answer, nth))
      if (!isOver || sent.source === '') continue
      must(found !== undefined, () => `${show(sent)} was sent until it was answered, and is not in the log`)
      must(sent.answers.length > 0, () => `${show(sent)} was never answered`)
    }
    for (const { entity, version, chain } of this.#ledger.readings) {
      const stored = version === 0 ? 0 : this.#chains.get(`${entity}@${version}`)
      must(stored === chain, () => `${entity} was read as ${chain} at version ${version}, the log says ${stored}`)
    }
  }

  #takeRows(): void {
    const numbered = new Map(this.#ledger.sent.filter(({ source }) => source !== '').map((sent) => [keyOf(sent), sent]))
    const unnumbered = new Map(this.#ledger.sent.filter(({ source }) => source === '').map((sent) => [String(sent.id), sent]))
    for (let index = 0; index < this.#rows.length; ) {
      const first = this.#rows[index] as Row
      const rows: Row[] = []
      for (let row: Row | undefined = first; row !== undefined && isSameAppend(row, first); row = this.#rows[index]) {
        must(row.position === index, () => `the row at ${index} says that it is at ${row?.position}`)
        rows.push(row)
        index++
      }
      const key = keyOf({ ...first, sequence: first.sequence ?? Number.NaN })
      // What comes of a command elsewhere, or later, has its correlation too.
      const isDevice = first.source !== '' && !first.source.startsWith(SENDER)
      const sent = numbered.get(key) ?? (isDevice ? unnumbered.get(first.correlation) : undefined)
      this.#takeAppend(rows, sent)
    }
  }

  #takeAppend(rows: readonly Row[], sent: SentCommand | undefined): void {
    const last = rows.at(-1) as Row
    const entity = this.#entities.get(last.entity) ?? { chain: 0, version: 0 }
    this.#entities.set(last.entity, entity)
    const chain = entity.chain
    for (const row of rows) {
      must(row.version === entity.version + 1, () => `${row.entity} goes from version ${entity.version} to ${row.version}`)
      entity.version = row.version
      if (row.event === 'Added') entity.chain = (Math.imul(entity.chain, 31) + (row.data['id'] as number)) | 0
      this.#chains.set(`${row.entity}@${row.version}`, entity.chain)
    }
    this.#messages.take(rows)
    this.#kin.take(rows)
    this.#effects.take(rows)
    if (last.source.startsWith(SENDER)) return
    if (sent === undefined) return must(last.source === '', () => `the log has a command that nobody sent: ${last.source} ${last.sequence}`)
    must(!this.#found.has(sent), () => `${show(sent)} took effect twice, at version ${last.version} again`)
    must(sent.entity === last.entity, () => `${show(sent)} is in the log of ${last.entity}`)
    this.#checkRows(sent, rows, chain)
    this.#found.set(sent, { version: last.version, isRefusal: last.outcomeKind === OUTCOME_REFUSAL, chain })
    if (sent.source === '') return
    const lane = this.#laneOf(sent)
    const before = lane.at(-1) ?? 0
    must(sent.sequence > before, () => `${show(sent)} was done behind number ${before} of its source`)
    lane.push(sent.sequence)
  }

  #checkRows(sent: SentCommand, rows: readonly Row[], chain: number): void {
    const ids = rows.flatMap(({ event, data }) => (event === 'Added' ? [data['id'] as number] : []))
    const wanted = ADDING.has(sent.command) ? [sent.id] : sent.command === 'pair' ? [sent.id, -sent.id] : []
    must(ids.join() === wanted.join(), () => `${show(sent)} left the events ${ids.join()}`)
    const last = rows.at(-1) as Row
    must((last.outcomeKind === OUTCOME_REFUSAL) === (sent.command === 'refuse'), () => `${show(sent)} has the wrong kind of outcome`)
    const stored = chainOf(last)
    must(stored === chain, () => `${show(sent)} was decided on ${stored} where the log has ${chain}`)
  }

  #checkAnswer(sent: SentCommand, found: Found | undefined, answer: Answer, nth: number): void {
    const told = `${show(sent)} was told ${showAnswer(answer)}${nth === 0 ? '' : ' when asked again'}`
    if (found === undefined) throw new Wrong(`${told}, and is not in the log`)
    if (answer.kind === 'acknowledged') return
    if (answer.kind === 'forgotten') {
      const later = this.#laneOf(sent).filter((sequence) => sequence > sent.sequence).length
      return must(nth > 0 && later >= REMEMBERED, () => `${told}, of which its answer must be remembered`)
    }
    const expected: Answer = { kind: found.isRefusal ? 'refused' : 'done', version: found.version, chain: found.chain }
    const isSame = answer.kind === expected.kind && answer.version === expected.version && answer.chain === expected.chain
    must(isSame, () => `${told}, the log says ${showAnswer(expected)}`)
  }

  #laneOf({ source, entity }: SentCommand): number[] {
    const key = `${source} ${entity}`
    const lane = this.#lanes.get(key) ?? []
    this.#lanes.set(key, lane)
    return lane
  }
}

/** What a stored outcome tells of the state that was decided on. */
function chainOf(row: Row): number | undefined {
  const outcome: unknown = row.outcome.length === 0 ? undefined : unpack(row.outcome)
  const detail: unknown = Array.isArray(outcome) ? outcome[1] : outcome
  return (detail as { readonly chain?: number } | undefined)?.chain
}

function isSameAppend(one: Row, other: Row): boolean {
  return one.entity === other.entity && one.term === other.term && one.appendNumber === other.appendNumber
}

function keyOf({ source, sequence, entity }: { readonly source: string; readonly sequence: number; readonly entity: string }): string {
  return `${source} ${sequence} ${entity}`
}

function must(condition: boolean, claim: () => string): void {
  if (!condition) throw new Wrong(claim())
}

export function show({ id, source, sequence, entity, command }: SentCommand): string {
  return `${command} ${id} to ${entity}${source === '' ? '' : ` (${source} number ${sequence})`}`
}

export function showAnswer(answer: Answer): string {
  return answer.kind === 'done' || answer.kind === 'refused' ? `${answer.kind} at ${answer.version} with ${answer.chain}` : answer.kind
}
