import { setTimeout as delay } from 'node:timers/promises'
import type { StreamDoorClient } from '#ingest/stream-client.js'
import { connectDoor } from '#runtime/door-access.js'

/** Unsettled at one time. */
const WINDOW = 200
/** Between two rounds over all entities: a steady stream rather than a flood. */
const ROUND_MS = 20

/** Presses that number their samples from 1, so that the n-th version of each has the number n, for as long as the feeder runs; over all deaths of the plant's processes. */
export class SampleFeeder {
  readonly #door: StreamDoorClient
  readonly #entities: number
  readonly #source: string
  readonly #running: Promise<void>
  #isStopped = false
  #settled = 0

  /** A source of another name is another feeder: its samples are new ones. */
  static async start(dataDirectory: string, entities: number, source = 'feeder'): Promise<SampleFeeder> {
    return new SampleFeeder(await connectDoor(dataDirectory), entities, source)
  }

  private constructor(door: StreamDoorClient, entities: number, source: string) {
    this.#door = door
    this.#entities = entities
    this.#source = source
    this.#running = this.#run()
  }

  /** Durable samples. */
  get settled(): number {
    return this.#settled
  }

  /** Sends no more; resolves when everything that was sent is durable. */
  async stop(): Promise<void> {
    this.#isStopped = true
    await this.#running
    await this.#door.close()
  }

  async #run(): Promise<void> {
    let sent = 0
    for (let number = 1; !this.#isStopped; number++) {
      for (let entity = 0; entity < this.#entities; entity++) {
        while (sent - this.#settled >= WINDOW) await delay(1)
        const command = {
          source: this.#source,
          sequence: number,
          entity: `press/press-${entity}` as const,
          command: 'sample',
          data: { number, temperature: 20 },
          at: undefined,
        }
        while (this.#door.offer(command, 'refused', () => this.#settled++) !== 'accepted')
          await new Promise<void>((resolve) => this.#door.onRoom(resolve))
        sent++
      }
      await delay(ROUND_MS)
    }
    while (this.#settled < sent) await delay(2)
  }
}
