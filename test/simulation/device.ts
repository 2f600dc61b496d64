import type { EntityId } from '#base/ids.js'
import type { IngestCommand, Settlement } from '#ingest/door.js'
import type { Answer, Ledger, SentCommand } from './ledger.js'
import type { SimulatedPlant } from './plant.js'
import type { TallyCommand } from './tally.js'

/** What devices know of the world. */
export interface DeviceWorld {
  readonly plant: SimulatedPlant
  readonly ledger: Ledger
}

/** What a device sends next. */
export interface Draft {
  readonly entity: EntityId
  readonly command: TallyCommand
}

/**
 * Something that sends commands to a gateway and remembers what it was told. It obeys the contract of its door: in order, nothing behind what was refused, and
 * what was not answered when a connection ended again, from the first on.
 */
export abstract class Device {
  readonly source: string
  readonly world: DeviceWorld
  readonly sent: SentCommand[] = []
  gateway: number
  readonly #sourceInRows: string

  constructor(world: DeviceWorld, source: string, gateway: number, sourceInRows = source) {
    this.world = world
    this.source = source
    this.gateway = gateway
    this.#sourceInRows = sourceInRows
  }

  /** Nothing is to be sent or answered any more. */
  get isSettled(): boolean {
    return this.sent.every(({ answers }) => answers.length > 0)
  }

  send(drafts: readonly Draft[]): void {
    for (const { entity, command } of drafts) {
      const { ledger } = this.world
      const sent: SentCommand = {
        id: ledger.sent.length + 1,
        source: this.#sourceInRows,
        sequence: this.sent.length + 1,
        entity,
        command,
        answers: [],
      }
      ledger.sent.push(sent)
      this.sent.push(sent)
    }
    this.pump()
  }

  /** Sends what can be sent now. */
  abstract pump(): void

  /** Its connection is gone, with its gateway or without: it connects to this one. */
  abstract connect(gateway: number): void

  /** Sends something again to which it has the answer; nothing for devices that never do. */
  askAgain(_: SentCommand): void {}

  protected told(sent: SentCommand, answer: Answer): void {
    sent.answers.push(answer)
  }

  protected commandOf({ id, sequence, entity, command }: SentCommand): IngestCommand {
    return { source: this.source, sequence, entity, command, data: { id }, at: undefined, correlation: String(id) }
  }
}

/** As a device takes what a door says; a fault of the entity's own code is none that this plant has. */
export function answerOf(settlement: Settlement): Answer {
  switch (settlement.kind) {
    case 'done':
      return { kind: 'done', version: settlement.version, chain: (settlement.reply as { readonly chain?: number } | undefined)?.chain }
    case 'refused':
      return { kind: 'refused', version: settlement.version, chain: (settlement.detail as { readonly chain?: number } | undefined)?.chain }
    case 'forgotten':
      return settlement
    case 'failed':
      throw new Error(`a command failed: ${settlement.message}`)
  }
}
