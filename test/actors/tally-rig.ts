import type { EntityId } from '#base/ids.js'
import type { Settlement } from '#ingest/door.js'
import { PlantRig, type RigOptions } from './plant-rig.js'
import { type CommandDraft, RigClient, type SentCommand } from './rig-client.js'
import { Tally } from './tally.js'

/** A loaded plant of tallies with one client, for tests that go through it step by step. */
export class TallyRig {
  readonly rig: PlantRig
  readonly client: RigClient
  #nextId = 0

  static async open(options: Partial<RigOptions> = {}): Promise<TallyRig> {
    const rig = await PlantRig.open({ entities: [Tally], ...options })
    await rig.until(() => rig.isIdle)
    rig.reloads.length = 0
    return new TallyRig(rig)
  }

  private constructor(rig: PlantRig) {
    this.rig = rig
    this.client = this.clientOf('plc')
  }

  clientOf(source: string, gateway = 0): RigClient {
    return new RigClient(this.rig, source, gateway, () => this.#nextId++)
  }

  /** Sends `command` with `id` as its data, answered always unless said otherwise. */
  send(entity: EntityId, command: string, data: Readonly<Record<string, unknown>>, more: Partial<CommandDraft> = {}): SentCommand {
    return this.client.send({ entity, command, data, at: undefined, answer: 'always', ...more })
  }

  add(entity: EntityId, id: number, more: Partial<CommandDraft> = {}): SentCommand {
    return this.send(entity, 'add', { id, by: 2 }, more)
  }

  /** From the door to the worker's append, which the journal has not seen. */
  execute(slot = 0): void {
    this.rig.stepDoor()
    this.rig.stepWorker(slot)
  }

  /** The journal takes what is there and makes it durable; nothing is released yet. */
  async store(): Promise<void> {
    this.rig.stepJournal()
    await this.rig.breathe()
  }

  async settle(): Promise<void> {
    await this.rig.until(() => this.rig.isIdle && this.client.isSettled)
  }

  /** Ids of the stored events of an entity, in order. */
  async ids(entity: EntityId): Promise<number[]> {
    const rows = await this.rig.rows()
    return rows.filter((row) => row.entity === entity && row.event !== undefined).map((row) => row.data['id'] as number)
  }
}

/** What a command came to, told first. */
export function answerOf(sent: SentCommand): Settlement | undefined {
  return sent.settlements[0]
}
