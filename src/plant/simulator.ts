import { assert } from '#base/assert.js'
import { DueQueue } from './due-queue.js'
import { kindOf } from './machine-kinds.js'
import { type SimulatedCommand, SimulatedMachine } from './simulated-machine.js'

export type { SimulatedCommand }

/**
 * The machines of a plant, the five kinds in turn, as a source of commands. Time and randomness are arguments: the same seed and start give the same
 * commands, and what one machine does depends on its own name and the seed alone, not on how many others there are. It hears nothing
 * back from the plant: it is the world, not a model of the entity.
 */
export class PlantSimulator {
  readonly #queue = new DueQueue<SimulatedMachine>()
  #now: number

  constructor(options: { readonly machines: number; readonly seed: number | string; readonly startMicros: number }) {
    assert(Number.isSafeInteger(options.machines) && options.machines >= 0, 'machines are counted in whole numbers')
    assert(Number.isSafeInteger(options.startMicros), 'the start is a whole number of microseconds')
    this.#now = options.startMicros
    for (let number = 0; number < options.machines; number++) {
      this.#queue.push(new SimulatedMachine(kindOf(number), number, options.seed, options.startMicros))
    }
  }

  /** When the next command is due, microseconds since 1970; undefined without machines. */
  get nextDueMicros(): number | undefined {
    return this.#queue.peek()?.dueAt
  }

  /** Up to when everything was given. */
  get nowMicros(): number {
    return this.#now
  }

  /**
   * Gives every command due up to and including `micros`, in order of time, those of one machine in the order in which it gives them. Lazily:
   * whoever stops in between finds the rest next time, except for what the same machine gave at the same moment. Time never goes back.
   */
  *advanceTo(micros: number): Generator<SimulatedCommand, void, undefined> {
    for (;;) {
      const machine = this.#queue.peek()
      if (machine === undefined || machine.dueAt > micros) break
      this.#now = machine.dueAt
      const commands = machine.step()
      this.#queue.settleFirst()
      yield* commands
    }
    this.#now = Math.max(this.#now, micros)
  }
}
