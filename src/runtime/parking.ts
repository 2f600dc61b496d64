import type { ParkedPlace } from '#actors/worker.js'
import { systemClock } from '#base/clock.js'
import { messageOf } from '#base/errors.js'
import { channelStat, distance } from '#bus/index.js'
import type { PlantModel } from '#entity/index.js'
import type { CommandPlace, NamedCommand } from '#processes/command-at-hand.js'
import type { SupervisionEvent } from '#processes/supervision-event.js'
import type { PlantCommands } from '#processes/supervision-options.js'
import { type FatalCommand, FatalCommands } from '#recovery/fatal-commands.js'
import { Mapping } from '#shm/index.js'
import { inboundName, type PlantShape } from './channel-plan.js'
import { commandAtPlace } from './command-at-place.js'
import { packExact } from './exact-pack.js'
import { ParkedCommands } from './parked-commands.js'
import { channelPath } from './role-process.js'

export interface ParkingOptions {
  readonly plant: PlantModel
  readonly shape: PlantShape
  readonly dataDirectory: string
  /** Workers that one command may end. */
  readonly deathsMax: number
  readonly onEvent: (event: SupervisionEvent) => void
}

/**
 * Takes commands that end one worker after the other out of the way: names each, keeps it in its file, and only then has the next worker refuse it. A plant
 * that dies in between executes it again, and keeps it under the same id.
 */
export class Parking implements PlantCommands {
  runtimeDirectory = ''
  /** As the plant runs it now. */
  plant: PlantModel
  readonly #options: ParkingOptions
  readonly #fatal: FatalCommands
  readonly #parked: ParkedCommands
  readonly #reasons = new WeakMap<FatalCommand, string>()
  /** Not parked yet, by slot. */
  readonly #due = new Map<number, FatalCommand>()

  constructor(options: ParkingOptions) {
    this.#options = options
    this.plant = options.plant
    this.#fatal = new FatalCommands(options.deathsMax)
    this.#parked = new ParkedCommands(options.dataDirectory)
  }

  /** To be told of every death. */
  take(event: SupervisionEvent): void {
    const command = this.#fatal.take(event)
    if (command !== undefined) this.#due.set(command.slot, command)
  }

  name(slot: number, place: CommandPlace): NamedCommand | undefined {
    return commandAtPlace(this.runtimeDirectory, this.plant, this.#options.shape, slot, place)
  }

  isFatal(slot: number): boolean {
    return this.#due.has(slot)
  }

  park(slot: number): void {
    const command = this.#due.get(slot)
    this.#due.delete(slot)
    if (command === undefined) return
    try {
      this.#keep(command)
    } catch (error) {
      this.#tell(
        'ERR_PARKED',
        `a command that ends its worker is refused without being kept: ${this.#describe(command)}: ${messageOf(error)}`,
      )
    }
  }

  /** What the next worker in the slot must refuse. */
  of(slot: number): readonly ParkedPlace[] {
    this.#fatal.forget(slot, (command) => this.#isAnswered(command))
    return this.#fatal.toPark(slot).map((command) => {
      const { gateway, position, causes } = command
      const reason = this.#reasons.get(command) ?? `executing it ended ${causes.length} workers`
      return { link: gateway, position, reason }
    })
  }

  #keep(command: FatalCommand): void {
    const { slot, causes } = command
    const placed = commandAtPlace(this.runtimeDirectory, this.plant, this.#options.shape, slot, command)
    if (placed === undefined) {
      this.#tell(
        'ERR_PARKED',
        `a command that ends its worker is refused without being kept, since it cannot be read: ${this.#describe(command)}`,
      )
      return
    }
    const { entity, command: name, data, source, sequence, at } = placed
    const parkedAt = systemClock.nowMicros()
    const kept = { parkedAt, entity, command: name, data, packed: packExact(data), source, sequence, at, worker: slot, causes }
    const { id } = this.#parked.add(kept)
    this.#reasons.set(command, `executing it ended ${causes.length} workers (${causes.join(', ')}); it is parked as ${id}`)
    this.#tell('ERR_COMMAND_PARKED', `${name} to ${entity} ended ${causes.length} workers (${causes.join(', ')}) and is parked as ${id}`)
  }

  #isAnswered({ slot, gateway, position }: FatalCommand): boolean {
    let mapping: Mapping | undefined
    try {
      mapping = Mapping.open(channelPath(this.runtimeDirectory, inboundName(gateway, slot, this.#options.shape)), { access: 'read' })
      const { releasedPosition, capacityBytes } = channelStat(mapping.buffer)
      const ahead = distance(releasedPosition, position)
      return ahead < 0 || ahead >= capacityBytes
    } catch (error) {
      this.#tell('ERR_PARKED', `whether a parked command was answered is not known: ${messageOf(error)}`)
      return false
    } finally {
      mapping?.close()
    }
  }

  #tell(code: string, message: string): void {
    this.#options.onEvent({ at: systemClock.nowMicros(), kind: 'trouble', code, message })
  }

  #describe({ gateway, slot, position, causes }: FatalCommand): string {
    const { gateways } = this.#options.shape
    const from = gateway < gateways ? `gateway/${gateway}` : `worker/${gateway - gateways}`
    return `from ${from} to worker/${slot} at ${position}, which ended ${causes.length} workers (${causes.join(', ')})`
  }
}
