import { Worker } from '#actors/worker.js'
import { assert } from '#base/assert.js'
import { type Clock, systemClock } from '#base/clock.js'
import { entityId } from '#base/ids.js'
import { channelBytes, createChannel, NO_PEER } from '#bus/index.js'
import { type AnyEntity, PlantModel } from '#entity/index.js'
import { BusDoor } from '#ingest/bus-door.js'
import type { Journal } from '#journal/index.js'
import { createInMemoryJournal } from '#journal/in-memory/in-memory-journal.js'
import { registerSchemas } from '#journal/register-schemas.js'
import { planChannels } from '#runtime/channel-plan.js'
import { type BusAccess, wireGateway, wireJournal, wireWorker } from '#runtime/wiring.js'
import { JournalServer } from '#serving/journal-server.js'
import { Placement } from '#shards/placement.js'

export interface ActorHostOptions {
  readonly entities: readonly AnyEntity[]
  readonly workers?: number
  /** Of this one. */
  readonly slot?: number
  /** Channels that lie elsewhere than in memory of this process. */
  readonly memory?: (channel: string) => ArrayBufferLike | undefined
  readonly clock?: Clock
  readonly liveEntitiesMax?: number
  readonly passivateAfterMs?: number
}

export const HOST_CHANNEL = { capacityBytes: 4 * 1024 * 1024, answerCapacityBytes: 1024 * 1024 }
const HOUR_MS = 3_600_000

/** A worker with a door and a journal in memory, whose turns are taken by hand: what is measured is theirs alone. */
export class ActorHost {
  readonly model: PlantModel
  #worker: Worker | undefined
  readonly #door: BusDoor | undefined
  readonly #journal: Journal
  readonly #server: JournalServer
  #failure: Error | undefined

  /** Resolves when it has loaded what its journal has: nothing. */
  static async open(options: ActorHostOptions): Promise<ActorHost> {
    const host = new ActorHost(options)
    await registerSchemas(host.#journal, host.model.schemas)
    await host.until(() => host.worker.isLoaded)
    return host
  }

  private constructor(options: ActorHostOptions) {
    const { workers = 1, slot = 0, clock = systemClock } = options
    const model = new PlantModel(options.entities)
    this.model = model
    const shape = { workers, gateways: 1 }
    const journal = createInMemoryJournal()
    this.#journal = journal
    const placement = Placement.even(journal.shardCount, workers)
    const access = { ...accessOf(model.schemaHash, shape, options.memory), placement }
    const holder = (term: number) => ({ pid: process.pid, startTime: 0, term, schemaHash: model.schemaHash })
    const onFatal = (error: unknown): void => void (this.#failure ??= error as Error)
    // The first slot's journal: each worker has one of its own, and the log of the others is never asked for.
    const links = wireJournal(access, shape, holder(1))
    this.#server = new JournalServer({ journal, links, clock, framesMax: 16_384, bytesMax: 1 << 22, onFatal, wake: () => undefined })
    const wired = wireWorker(access, slot, shape, holder(2))
    this.#worker = new Worker({
      ...{
        plant: model,
        shards: access.placement.shardsOf(slot),
        shardCount: journal.shardCount,
        term: 2,
        clock,
        ...wired,
      },
      limits: {
        liveEntitiesMax: options.liveEntitiesMax ?? Number.MAX_SAFE_INTEGER,
        passivateAfterMs: options.passivateAfterMs ?? HOUR_MS,
        snapshotEvery: Number.POSITIVE_INFINITY,
        commandsPerTurn: 512,
        inFlightMax: 65_536,
      },
      onLoaded: () => undefined,
      wake: () => undefined,
      onFatal,
    })
    // One door for all workers, beside the first.
    if (slot > 0) return
    const channels = wireGateway(access, 0, shape, holder(3))
    this.#door = new BusDoor({ plant: model, channels, placement: access.placement, term: 3, clock, wake: () => undefined })
  }

  get worker(): Worker {
    assert(this.#worker !== undefined, 'the worker was not dropped')
    return this.#worker
  }

  /** Lets go of it: whoever wants to know what it cost looks before and after. */
  dropWorker(): void {
    this.#worker = undefined
  }

  get door(): BusDoor {
    assert(this.#door !== undefined, 'the first worker has the door')
    return this.#door
  }

  /** One turn of everything. */
  step(): void {
    this.#door?.doWork()
    this.worker.doWork()
    this.#server.doWork()
    if (this.#failure !== undefined) throw this.#failure
  }

  /** Takes turns until the condition holds; others have theirs in between, as the journal waits for promises. */
  async until(condition: () => boolean): Promise<void> {
    while (!condition()) {
      for (let turn = 0; turn < 16 && !condition(); turn++) this.step()
      await new Promise((resolve) => setImmediate(resolve))
    }
  }

  /** Sends a command to each of these, `dataOf` their number, and waits until all are done. */
  async sendAll(
    names: readonly string[],
    command: string,
    dataOf: (index: number) => Readonly<Record<string, unknown>>,
    source = '',
  ): Promise<void> {
    let settled = 0
    for (const [index, name] of names.entries()) {
      const envelope = { source, sequence: index + 1, entity: entityId('node', name), command, data: dataOf(index), at: undefined }
      while (this.door.offer(envelope, 'refused', () => settled++) === 'full') {
        this.step()
        if ((index & 1023) === 0) await new Promise((resolve) => setImmediate(resolve))
      }
      if (index % 4096 === 4095) await this.until(() => settled > index - 16_384)
    }
    await this.until(() => settled === names.length)
  }
}

function accessOf(
  schemaHash: number,
  shape: { readonly workers: number; readonly gateways: number },
  elsewhere: ActorHostOptions['memory'],
): Omit<BusAccess, 'placement'> {
  const memories = new Map<string, ArrayBufferLike>()
  for (const { name, capacityBytes } of planChannels(shape, HOST_CHANNEL)) {
    const given = elsewhere?.(name)
    const memory = given ?? new SharedArrayBuffer(channelBytes(capacityBytes))
    if (given === undefined) createChannel(memory, { capacityBytes, schemaHash, name })
    memories.set(name, memory)
  }
  return { memory: (channel) => memories.get(channel) as ArrayBufferLike, peer: () => NO_PEER }
}
