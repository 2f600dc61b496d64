import { setImmediate as nextTurn } from 'node:timers/promises'
import { MillraceError } from '#base/errors.js'
import { CaptureReader, type Consumer, distance, type DutyCycle, NO_FRAME, type Producer } from '#bus/index.js'
import { COMMAND_FRAME } from '#entity/command-frame.js'
import { PlantModel } from '#entity/index.js'
import type { WorkerChannel } from '#ingest/bus-door.js'
import { registerSchemas } from '#journal/register-schemas.js'
import { InlinePlant } from './inline-plant.js'
import { inMemoryStorage } from './inline-storage.js'
import type { PlantDefinition } from './plant-definition.js'

export interface CaptureReplay {
  /** Over all entities, as every plant has it; and of what was stored on the way, folded anew: the two are equal, or something is wrong. */
  readonly stateHash: { readonly live: string; readonly replayed: string }
  /** Frames that were fed, retransmissions too. */
  readonly commands: number
  /** Rows that they stored. */
  readonly rows: number
  /** What the captures miss: then the hash is that of another history. */
  readonly gaps: number
  readonly lostBytes: number
  readonly truncated: readonly string[]
}

const CAPACITY_BYTES_MIN = 256 * 1024

/**
 * Feeds captured commands, byte for byte as the gateway had published them, into a new plant in this process and in memory, and answers what became of
 * it. One file for each worker; entities of one worker do not depend on another's, so the files are fed one after the other.
 *
 * Throws ERR_CAPTURE_CHANNEL for a capture of another kind of channel or for two of one; ERR_CAPTURE_SCHEMA when the plant is not the one that the commands
 * were made for; and what CaptureReader throws.
 */
export async function replayCaptures(
  paths: readonly string[],
  definition: PlantDefinition,
  onProgress: (doneBytes: number, totalBytes: number) => void = () => undefined,
): Promise<CaptureReplay> {
  const model = new PlantModel(definition.entities)
  const readers: CaptureReader[] = []
  const storage = inMemoryStorage()
  let plant: InlinePlant | undefined
  try {
    for (const path of paths) readers.push(await CaptureReader.open(path))
    checkReaders(readers, model)
    await registerSchemas(storage.journal, model.schemas)
    let feeder: CommandFeeder | undefined
    const capacityBytes = Math.max(CAPACITY_BYTES_MIN, ...readers.map(({ header }) => header.capacityBytes))
    plant = await InlinePlant.start(model, storage, { entities: definition.entities, capacityBytes }, (channels, wake) => {
      feeder = new CommandFeeder(channels[0] as WorkerChannel, wake)
      return feeder
    })
    const totalBytes = readers.reduce((sum, { byteCount }) => sum + byteCount, 0)
    const counts = { commands: 0, gaps: 0, lostBytes: 0 }
    let doneBytes = 0
    for (const reader of readers) {
      await feed(reader, feeder as CommandFeeder, model, counts, () => onProgress(doneBytes + reader.offset, totalBytes))
      doneBytes += reader.byteCount
    }
    const stateHash = await plant.stateHash()
    const truncated = readers.filter(({ isTruncated }) => isTruncated).map(({ path }) => path)
    return { stateHash, ...counts, rows: plant.journal.endPosition, truncated }
  } finally {
    for (const reader of readers) await reader.close()
    await (plant === undefined ? storage.close() : plant.close())
  }
}

async function feed(
  reader: CaptureReader,
  feeder: CommandFeeder,
  model: PlantModel,
  counts: { commands: number; gaps: number; lostBytes: number },
  onProgress: () => void,
): Promise<void> {
  for await (const item of reader.items()) {
    onProgress()
    if (item.kind === 'anew') checkSchema(reader.path, item.header.schemaHash, model)
    if (item.kind === 'gap') {
      counts.gaps++
      counts.lostBytes += item.lostBytes
    }
    if (item.kind !== 'frames') continue
    const { bytes, frames } = item
    while (frames.next() === 'frame') {
      if (frames.type !== COMMAND_FRAME) throw notCommands(reader, `it holds a frame of type ${frames.type}`)
      if (frames.length > feeder.frameBytesMax) throw notCommands(reader, 'a frame is larger than its channel was at first')
      const payload = bytes.subarray(frames.offset, frames.offset + frames.length)
      while (!feeder.trySend(payload, frames.type)) await feeder.whenRoom()
      counts.commands++
    }
    feeder.flush()
    await nextTurn()
  }
}

/** Stands where a gateway stands: publishes commands and gives every answer back unread. */
class CommandFeeder implements DutyCycle {
  readonly #commands: Producer
  readonly #answers: Consumer
  readonly #wake: () => void
  #onRoom: { readonly position: number; readonly resolve: () => void } | undefined

  constructor(channel: WorkerChannel, wake: () => void) {
    this.#commands = channel.commands
    this.#answers = channel.answers
    this.#wake = wake
  }

  get frameBytesMax(): number {
    return this.#commands.frameBytesMax
  }

  trySend(payload: Uint8Array, type: number): boolean {
    const offset = this.#commands.tryClaim(payload.length, type)
    if (offset < 0) return false
    this.#commands.bytes.set(payload, offset)
    this.#commands.commit()
    return true
  }

  flush(): void {
    this.#commands.publish()
    this.#wake()
  }

  /** Resolves once something is released that is not yet. One at a time. */
  whenRoom(): Promise<void> {
    const position = this.#commands.releasedPosition()
    return new Promise((resolve) => {
      this.#onRoom = { position, resolve }
      this.flush()
    })
  }

  doWork(): number {
    let work = 0
    while (this.#answers.next() !== NO_FRAME) work++
    if (work > 0) this.#answers.release(this.#answers.readPosition)
    if (!this.#hasRoom()) return work
    const { resolve } = this.#onRoom as { resolve: () => void }
    this.#onRoom = undefined
    resolve()
    return work + 1
  }

  hasWork(): boolean {
    return this.#answers.hasFrames() || this.#hasRoom()
  }

  #hasRoom(): boolean {
    return this.#onRoom !== undefined && distance(this.#onRoom.position, this.#commands.releasedPosition()) > 0
  }
}

function checkReaders(readers: readonly CaptureReader[], model: PlantModel): void {
  const channels = new Set<string>()
  for (const reader of readers) {
    const { channel, schemaHash } = reader.header
    if (!channel.startsWith('commands-')) throw notCommands(reader, 'it is of another channel')
    if (channels.has(channel)) throw notCommands(reader, 'another file is of the same channel')
    channels.add(channel)
    checkSchema(reader.path, schemaHash, model)
  }
}

function checkSchema(path: string, schemaHash: number, model: PlantModel): void {
  if (schemaHash === model.schemaHash) return
  throw new MillraceError('ERR_CAPTURE_SCHEMA', {
    fact: 'the capture was made with another schema than this plant has',
    action: 'operator',
    values: { path, schemaHash, own: model.schemaHash },
    next: 'name the plant module as it was then with --plant',
  })
}

function notCommands({ path, header }: CaptureReader, what: string): MillraceError {
  return new MillraceError('ERR_CAPTURE_CHANNEL', {
    fact: `the capture cannot be replayed, ${what}`,
    action: 'operator',
    values: { path, channel: header.channel },
    next: 'give one capture of each channel from the gateway to a worker, commands-g0-w0 and so on',
  })
}
