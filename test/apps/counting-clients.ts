import type { Settlement } from '#ingest/door.js'
import type { StreamDoorClient } from '#ingest/stream-client.js'
import { connectDoor } from '#runtime/door-access.js'
import { Ledger, type LedgerVerdict } from '#drills/ledger.js'
import { type PlantFolder } from './plant-folder.js'
import { run } from './program-under-test.js'

const IN_FLIGHT = 200

/**
 * Clients that count up, each on a counter of its own, without end and without losing heart: what was not acknowledged is sent again by the door's
 * client. They keep a book of their own, in which a command's event time is its number.
 */
export class CountingClients {
  readonly ledger = new Ledger()
  readonly #door: StreamDoorClient
  readonly #next: number[]
  readonly #unexpected: Settlement[] = []
  #isStopped = false
  #inFlight = 0

  static async open(folder: PlantFolder, clients: number): Promise<CountingClients> {
    return new CountingClients(await connectDoor(folder.data), clients)
  }

  private constructor(door: StreamDoorClient, clients: number) {
    this.#door = door
    this.#next = Array.from({ length: clients }, () => 1)
    this.#send()
  }

  get acked(): number {
    return this.ledger.acked
  }

  /** Nothing more is sent; what is under way may still be acknowledged. */
  stop(): void {
    this.#isStopped = true
  }

  get isSettled(): boolean {
    return this.#isStopped && this.#inFlight === 0
  }

  async close(): Promise<void> {
    this.stop()
    await this.#door.close()
  }

  /** Holds the log, as the command line tells it, against the book. */
  async check(folder: PlantFolder): Promise<LedgerVerdict> {
    if (this.#unexpected.length > 0) throw new Error(`a count came to ${JSON.stringify(this.#unexpected[0])}`)
    const { lines, stderr, code } = await run(folder, ['query', '--receipts', '--json'])
    if (code !== 0) throw new Error(stderr)
    return this.ledger.check(toLog(lines))
  }

  #send(): void {
    while (!this.#isStopped && this.#inFlight < IN_FLIGHT) {
      const client = this.#next.indexOf(Math.min(...this.#next))
      const n = this.#next[client] as number
      const entity = `counter/counter-${client}` as const
      const command = { source: `client-${client}`, sequence: n, entity, command: 'count', data: { n }, at: n }
      const offered = this.#door.offer(command, 'refused', (settlement) => {
        this.#inFlight--
        if (settlement.kind === 'done' || settlement.kind === 'forgotten') this.ledger.recordAcked(entity, n - 1, 0)
        else this.#unexpected.push(settlement)
        this.#send()
      })
      if (offered === 'full') {
        this.#door.onRoom(() => this.#send())
        return
      }
      this.ledger.recordSent(entity, n)
      this.#inFlight++
      this.#next[client] = n + 1
    }
  }
}

async function* toLog(lines: readonly Readonly<Record<string, unknown>>[]) {
  for (const { entity, version, data } of lines)
    yield { entity: entity as string, version: version as number, at: (data as { n: number }).n }
}
