import { assert } from '#base/assert.js'
import type { Clock } from '#base/clock.js'
import type { EntityId } from '#base/ids.js'
import type { Door, IngestCommand } from '#ingest/door.js'
import type { Ledger } from './ledger.js'
import type { Sabotage } from './sabotage.js'

/** A command that a simulated device wants to send. */
export interface DeviceCommand {
  readonly entity: EntityId
  readonly command: string
  readonly data: Readonly<Record<string, unknown>>
  /** Event time, microseconds since 1970. */
  readonly at: number
}

/** Where the devices' commands come from: all that is due up to a time, in order. */
export interface DeviceScript {
  advanceTo(micros: number): Iterable<DeviceCommand>
}

/** Devices stop being polled above so many commands that the door has not taken: their own buffers are full, as a device's would be. */
const BUFFERED_MAX = 100_000
/** While there is a flood, devices hold so many commands that the door has not taken, which is more than it takes between two steps. */
const FLOOD_BUFFERED = 5000
/** The command of the run, counted from 1, from which on sabotage strikes the first that it can: the plant is under way by then. A run that does not get there proves nothing. */
export const SABOTAGED_COMMAND = 500

interface Buffered {
  readonly command: IngestCommand
  readonly dueMs: number
}

/**
 * The sending side of a drill: devices that number their commands, buffer what the door does not take, and write a ledger of what they sent and what
 * they were told. Knows nothing of the plant but its door.
 */
export class DeviceFleet {
  readonly #door: Door
  readonly #script: DeviceScript
  readonly #ledger: Ledger
  readonly #clock: Clock
  readonly #sequences = new Map<string, number>()
  readonly #latestAt = new Map<string, number>()
  readonly #buffer: Buffered[] = []
  /** Ledger numbers of commands that were recorded before they go out. */
  readonly #numbers = new Map<DeviceCommand, number>()
  /** What the devices say in a flood, without end. */
  readonly #flood: Iterator<DeviceCommand> | undefined
  readonly #run: string
  #head = 0
  #isFlooding = false
  #isWaitingForRoom = false
  #sabotage: Sabotage | undefined
  #heldBack: DeviceCommand | undefined
  /** Commands offered that no device sent and the ledger must not know of. */
  #smuggledCount = 0
  #failure: string | undefined
  #commandCount = 0
  #refusedCount = 0
  #fullCount = 0

  constructor(options: {
    readonly door: Door
    readonly script: DeviceScript
    readonly ledger: Ledger
    readonly clock: Clock
    /** Of a flood: what the devices say as fast as they are let, without end. */
    readonly flood?: Iterator<DeviceCommand>
    /** Tells the numbering of these devices from that of others with the same names, which sent to the same plant before. */
    readonly run?: string
    readonly sabotage?: Sabotage | undefined
  }) {
    this.#door = options.door
    this.#script = options.script
    this.#ledger = options.ledger
    this.#clock = options.clock
    this.#flood = options.flood
    this.#run = options.run === undefined ? '' : `${options.run}:`
    this.#sabotage = options.sabotage
  }

  /** Commands that devices hold because the door had no room. */
  get bufferedCount(): number {
    return this.#buffer.length - this.#head
  }

  /** Commands whose devices were told that they are durable. */
  get ackedCount(): number {
    return this.#ledger.acked
  }

  /** Offers that the door answered with `full`. */
  get fullCount(): number {
    return this.#fullCount
  }

  /** Commands that entities refused: durable, but a no. */
  get refusedCount(): number {
    return this.#refusedCount
  }

  /** Everything that was sent is acknowledged and nothing is buffered. */
  get isSettled(): boolean {
    return this.bufferedCount === 0 && this.#heldBack === undefined && this.#ledger.openCount === 0 && this.#smuggledCount === 0
  }

  /** The sabotage that was asked for and has not been done: its command has not come, or not the one that it is to come behind. */
  get openSabotage(): Sabotage | undefined {
    return this.#heldBack === undefined ? this.#sabotage : 'reorder'
  }

  /** Why a command came to nothing: the plant cannot take it, the entity's code is at fault, or the door is gone. No device was told that it is durable. */
  get failure(): string | undefined {
    return this.#failure
  }

  /** Lets the devices send what is due by now. */
  step(nowMicros: number): void {
    if (this.#isFlooding) this.#pour(nowMicros)
    if (this.bufferedCount < BUFFERED_MAX) for (const command of this.#script.advanceTo(nowMicros)) this.#take(command)
    this.#offerBuffered()
  }

  /** From the next step on, until `endFlood`, the devices send more than the door takes. */
  beginFlood(): void {
    assert(this.#flood !== undefined, 'a fleet floods with commands that it was given')
    this.#isFlooding = true
  }

  endFlood(): void {
    this.#isFlooding = false
  }

  /** Devices make nothing new; what is buffered goes out. */
  flush(): void {
    const held = this.#heldBack
    this.#heldBack = undefined
    if (held !== undefined) this.#enqueue(held)
    this.#offerBuffered()
  }

  #pour(nowMicros: number): void {
    while (this.bufferedCount < FLOOD_BUFFERED) {
      const next = this.#flood?.next()
      if (next === undefined || next.done === true) return
      this.#take({ ...next.value, at: nowMicros })
    }
  }

  #take(device: DeviceCommand): void {
    const command = this.#stamp(device)
    this.#commandCount++
    if (this.#sabotage !== undefined && this.#commandCount >= SABOTAGED_COMMAND) {
      if (this.#strike(command)) return
    }
    this.#enqueue(command)
    const held = this.#heldBack
    if (held !== undefined && held.entity === command.entity) {
      this.#heldBack = undefined
      this.#enqueue(held)
    }
  }

  /** Each device's clock goes forward, so that entity and event time name a command. */
  #stamp(command: DeviceCommand): DeviceCommand {
    const at = Math.max(command.at, (this.#latestAt.get(command.entity) ?? 0) + 1)
    this.#latestAt.set(command.entity, at)
    return { ...command, at }
  }

  /** True when the command must not be sent now. */
  #strike(command: DeviceCommand): boolean {
    const kind = this.#sabotage
    const torn = kind === 'tear' ? tornOf(command) : undefined
    if (kind === 'tear' && torn === undefined) return false
    this.#sabotage = undefined
    if (kind === 'lose') {
      this.#ledger.recordAcked(command.entity, this.#record(command), 0)
      return true
    }
    if (kind === 'reorder') {
      this.#heldBack = command
      this.#recordTruth(command, command)
      return true
    }
    if (torn !== undefined) {
      this.#recordTruth(command, torn)
      this.#enqueue(torn)
      return true
    }
    this.#enqueue(command)
    this.#smuggledCount++
    this.#buffer.push({ command: { ...command, source: `again:${this.#run}${command.entity}`, sequence: 1 }, dueMs: Number.NaN })
    return true
  }

  /** The ledger has what is true, in the true order; the plant gets something else for it, or later. */
  #recordTruth(truth: DeviceCommand, sent: DeviceCommand): void {
    this.#numbers.set(sent, this.#record(truth))
  }

  #record({ entity, at, data }: DeviceCommand): number {
    return this.#ledger.recordSent(entity, at, data)
  }

  #enqueue(device: DeviceCommand): void {
    const sequence = (this.#sequences.get(device.entity) ?? 0) + 1
    this.#sequences.set(device.entity, sequence)
    const number = this.#numbers.get(device) ?? this.#record(device)
    this.#numbers.delete(device)
    const command = { ...device, source: `device:${this.#run}${device.entity}`, sequence, number }
    this.#buffer.push({ command, dueMs: this.#clock.monotonicMs() })
  }

  #offerBuffered(): void {
    if (this.#isWaitingForRoom) return
    while (this.#head < this.#buffer.length) {
      const { command, dueMs } = this.#buffer[this.#head] as Buffered
      const offered = this.#door.offer(command, 'refused', (settlement) => {
        if (settlement.kind === 'failed') {
          this.#failure ??= `${command.entity} ${command.command}: ${settlement.message}`
          return
        }
        if (Number.isNaN(dueMs)) {
          this.#smuggledCount--
          return
        }
        if (settlement.kind === 'refused') this.#refusedCount++
        const { number } = command as IngestCommand & { readonly number: number }
        this.#ledger.recordAcked(command.entity, number, (this.#clock.monotonicMs() - dueMs) * 1000)
      })
      if (offered === 'full') {
        this.#fullCount++
        this.#isWaitingForRoom = true
        this.#door.onRoom(() => {
          this.#isWaitingForRoom = false
          this.#offerBuffered()
        })
        break
      }
      this.#head++
      if (offered !== 'accepted') this.#failure ??= `${command.entity} ${command.command}: ${offered.rejected}`
    }
    if (this.#head > 4096 && this.#head * 2 > this.#buffer.length) this.#buffer.splice(0, this.#head)
    else return
    this.#head = 0
  }
}

/** The command with another value for its first number; undefined without one. */
function tornOf(command: DeviceCommand): DeviceCommand | undefined {
  const found = Object.entries(command.data).find((entry): entry is [string, number] => Number.isFinite(entry[1]))
  return found === undefined ? undefined : { ...command, data: { ...command.data, [found[0]]: found[1] + 1 } }
}
