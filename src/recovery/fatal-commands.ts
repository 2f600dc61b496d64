import type { CommandPlace } from '#processes/command-at-hand.js'
import { describeCause, type SupervisionEvent } from '#processes/supervision-event.js'

/** A command over which workers of a slot ended, again and again. */
export interface FatalCommand extends CommandPlace {
  readonly slot: number
  /** How each of them ended, oldest first. */
  readonly causes: readonly string[]
}

/**
 * Remembers which command each worker died over. One that ends so many workers in a row, its own and its successors, is not to be executed again: their entity
 * and all others behind it in the channel would wait for it for ever. The frame of a command stays where it is until it is answered, so its place tells it.
 */
export class FatalCommands {
  readonly #deathsMax: number
  readonly #bySlot = new Map<number, FatalCommand>()
  readonly #toPark = new Map<number, FatalCommand[]>()

  constructor(deathsMax: number) {
    this.#deathsMax = deathsMax
  }

  /** Answers the command that has just become one to park, if the event is about one. */
  take(event: SupervisionEvent): FatalCommand | undefined {
    if (event.kind !== 'died' || event.role !== 'worker' || event.slot === null) return undefined
    const { slot, fatalCommand, cause } = event
    if (fatalCommand === null) return undefined
    const known = this.#bySlot.get(slot)
    const isSame = known?.gateway === fatalCommand.gateway && known.position === fatalCommand.position
    const causes = [...(isSame ? known.causes : []), describeCause(cause)]
    const command = { ...fatalCommand, slot, causes }
    this.#bySlot.set(slot, command)
    if (causes.length < this.#deathsMax) return undefined
    this.#bySlot.delete(slot)
    this.#toPark.set(slot, [...this.toPark(slot), command])
    return command
  }

  /** What the next worker in the slot must not execute. */
  toPark(slot: number): readonly FatalCommand[] {
    return this.#toPark.get(slot) ?? []
  }

  /** They are answered, and their frames released. */
  forget(slot: number, isGone: (command: FatalCommand) => boolean): void {
    this.#toPark.set(
      slot,
      this.toPark(slot).filter((command) => !isGone(command)),
    )
  }
}
