import type { EntityId } from '#base/ids.js'
import type { AnswerWanted, IngestCommand, Settlement } from '#ingest/door.js'
import { OUTCOMES_PER_SOURCE } from '#entity/outcomes.js'
import type { PlantRig } from './plant-rig.js'

/** A command as its sender remembers it. `id` travels as its correlation, so that its rows can be found. */
export interface SentCommand {
  readonly id: number
  readonly client: RigClient
  readonly command: IngestCommand
  readonly answer: AnswerWanted
  /** Taken by a door, so far as the client knows. */
  isOffered: boolean
  /** Every settlement that it heard, the first one first. */
  readonly settlements: Settlement[]
}

export interface CommandDraft {
  readonly entity: EntityId
  readonly command: string
  readonly data: Readonly<Record<string, unknown>>
  readonly at: number | undefined
  readonly answer: AnswerWanted
}

/**
 * Sends as a source has to: in order per entity, waits where the door is full, and after the door's death sends what it got no answer to again, in
 * order and with the same numbers. Without a source (`''`) nothing is sent again.
 */
export class RigClient {
  readonly source: string
  readonly sent: SentCommand[] = []
  readonly #rig: PlantRig
  #gateway: number
  readonly #nextId: () => number
  #toOffer: SentCommand[] = []
  #isWaiting = false
  /** Of the door that it talks to; counts its doors. */
  #connection = 0

  constructor(rig: PlantRig, source: string, gateway: number, nextId: () => number) {
    this.#rig = rig
    this.source = source
    this.#gateway = gateway
    this.#nextId = nextId
  }

  get isSettled(): boolean {
    return this.sent.every((sent) => sent.settlements.length > 0 || this.#isLost(sent))
  }

  /** Neither is ever heard of again: its door died with it, and it has no number. */
  #isLost(sent: SentCommand): boolean {
    return this.source === '' && !sent.isOffered && !this.#toOffer.includes(sent)
  }

  send(draft: CommandDraft): SentCommand {
    const id = this.#nextId()
    const { entity, command, data, at, answer } = draft
    const sequence = this.sent.length + 1
    const envelope = { source: this.source, sequence, entity, command, data, at, correlation: String(id) }
    const sent: SentCommand = { id, client: this, command: envelope, answer, isOffered: false, settlements: [] }
    this.sent.push(sent)
    this.#toOffer.push(sent)
    this.pump()
    return sent
  }

  /** Sends one again that may be done already: out of order, but below the highest number of its entity, which must do nothing. */
  sendAgain(sent: SentCommand): void {
    if (!this.#rig.isDoorUp(this.#gateway) || this.source === '') return
    this.#offer(sent)
  }

  /** Whether the plant may have forgotten the answer by the time of a resend. */
  mayBeForgotten(sent: SentCommand): boolean {
    const { entity, sequence } = sent.command
    return this.sent.filter((other) => other.command.entity === entity && other.command.sequence > sequence).length >= OUTCOMES_PER_SOURCE
  }

  get gateway(): number {
    return this.#gateway
  }

  /**
   * The connection to its door is gone, with the door or without it: connects to this gateway's. What the former one still has in flight goes on
   * there, but nobody listens.
   */
  connect(gateway = this.#gateway): void {
    this.#gateway = gateway
    this.#connection++
    this.#isWaiting = false
    const waiting = new Set(this.#toOffer)
    this.#toOffer = this.sent.filter((sent) => {
      if (sent.settlements.length > 0) return false
      if (this.source === '') {
        const wasTaken = !waiting.has(sent)
        if (wasTaken) sent.isOffered = false
        return !wasTaken
      }
      return true
    })
  }

  pump(): void {
    if (this.#isWaiting || !this.#rig.isDoorUp(this.#gateway)) return
    for (let next = this.#toOffer[0]; next !== undefined; next = this.#toOffer[0]) {
      if (this.#offer(next) === 'full') {
        const connection = this.#connection
        this.#isWaiting = true
        this.#rig.door(this.#gateway).onRoom(() => {
          if (connection !== this.#connection) return
          this.#isWaiting = false
          this.pump()
        })
        return
      }
      this.#toOffer.shift()
    }
  }

  #offer(sent: SentCommand): 'accepted' | 'full' {
    const connection = this.#connection
    const offered = this.#rig.door(this.#gateway).offer(sent.command, sent.answer, (settlement) => {
      if (connection === this.#connection) sent.settlements.push(settlement)
    })
    if (typeof offered === 'object') throw new Error(offered.rejected)
    if (offered === 'accepted') sent.isOffered = true
    return offered
  }
}
