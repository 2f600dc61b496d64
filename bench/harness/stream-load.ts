import { entityId, type EntityId } from '#base/ids.js'
import { MillraceError } from '#base/errors.js'
import type { StreamDoorClient } from '#ingest/stream-client.js'
import { connectDoor } from '#runtime/door-access.js'

const TICK_MS = 1

/** Numbered samples of presses through the stream door, entity after entity in turns. */
export class StreamLoad {
  readonly #door: StreamDoorClient
  readonly #ids: readonly EntityId[]
  #sent = 0
  #settled = 0
  #failure: string | undefined
  #onSettled: () => void = () => {}

  static async open(dataDirectory: string, entities: number): Promise<StreamLoad> {
    return new StreamLoad(await connectDoor(dataDirectory), entities)
  }

  private constructor(door: StreamDoorClient, entities: number) {
    this.#door = door
    this.#ids = Array.from({ length: entities }, (_, index) => entityId('press', `stream-${index + 1}`))
  }

  get sentCount(): number {
    return this.#sent
  }

  async flood(seconds: number): Promise<number> {
    const before = this.#settled
    const endMs = performance.now() + seconds * 1000
    while (performance.now() < endMs) await this.#send(() => {})
    await this.#settleAll()
    return this.#settled - before
  }

  async pace(perSecond: number, seconds: number): Promise<Float64Array> {
    const count = Math.max(1, Math.round(perSecond * seconds))
    const waits = new Float64Array(count)
    const startMs = performance.now()
    for (let index = 0; index < count; index++) {
      const dueMs = startMs + (index / perSecond) * 1000
      while (performance.now() < dueMs) await new Promise((resolve) => setTimeout(resolve, TICK_MS))
      await this.#send(() => {
        waits[index] = performance.now() - dueMs
      })
    }
    await this.#settleAll()
    return waits
  }

  async close(): Promise<void> {
    await this.#door.close()
  }

  /** A promise only where the door has no room. */
  async #send(onAcked: () => void): Promise<void> {
    while (!this.#trySend(onAcked)) await new Promise<void>((resolve) => this.#door.onRoom(resolve))
  }

  #trySend(onAcked: () => void): boolean {
    this.#check()
    const entity = this.#ids[this.#sent % this.#ids.length] as EntityId
    const cycle = Math.floor(this.#sent / this.#ids.length) + 1
    const command = { source: 'bench', sequence: cycle, entity, command: 'sample', data: { temperature: cycle / 8, cycle }, at: undefined }
    const offered = this.#door.offer(command, 'refused', (settlement) => {
      this.#settled++
      if (settlement.kind !== 'done') this.#failure ??= JSON.stringify(settlement)
      onAcked()
      this.#onSettled()
    })
    if (offered === 'full') return false
    if (offered !== 'accepted') throw failed(offered.rejected)
    this.#sent++
    return true
  }

  async #settleAll(): Promise<void> {
    while (this.#settled < this.#sent) {
      await new Promise<void>((resolve) => {
        this.#onSettled = resolve
      })
    }
    this.#check()
  }

  #check(): void {
    if (this.#failure !== undefined) throw failed(this.#failure)
  }
}

function failed(what: string): MillraceError {
  return new MillraceError('ERR_BENCH_FAILED', { fact: 'a command came to something else than done', action: 'operator', values: { what } })
}
