import { rmSync } from 'node:fs'
import { isMillraceError, MillraceError } from '#base/errors.js'
import { channelBytes, channelStat, createChannel, damageTo, distance, fenceChannel } from '#bus/index.js'
import type { ChildRole, Seat } from '#processes/process-role.js'
import { Mapping } from '#shm/index.js'
import { type PlannedChannel, seatsOf } from './channel-plan.js'
import { channelPath } from './role-process.js'

/**
 * The channels of a running plant, in the hands of its supervisor: it makes them before the first process starts, and makes those anew that an end
 * gave up as damaged, before it gives a seat at one of their ends away. The frames carry checksums.
 */
export class PlantChannels {
  readonly #planned: readonly PlannedChannel[]
  readonly #schemaHash: number
  #runtimeDirectory = ''

  constructor(planned: readonly PlannedChannel[], schemaHash: number) {
    this.#planned = planned
    this.#schemaHash = schemaHash
  }

  get bytes(): number {
    return this.#planned.reduce((sum, { capacityBytes }) => sum + channelBytes(capacityBytes), 0)
  }

  make(runtimeDirectory: string): void {
    this.#runtimeDirectory = runtimeDirectory
    for (const channel of this.#planned) this.#make(channel)
  }

  /**
   * Makes the damaged ones among the channels of the seat anew, whose holder is dead, and answers them with what was found. The holder of the other end,
   * if it lives, is left with the old memory, which is fenced: it ends at its next look, and its successor finds the new channel. What was in it and
   * not released is given up: commands are sent again by their sources, appends by the workers that take those commands again; nothing of
   * that was acknowledged. `term` is the one that the seat is given away under, the latest in the plant: a later one in a channel is damage too.
   */
  makeDamagedAnew(seat: Seat<ChildRole>, term: number): readonly { readonly name: string; readonly error: MillraceError }[] {
    const made: { readonly name: string; readonly error: MillraceError }[] = []
    for (const channel of this.#planned) {
      const ends = seatsOf(channel.name)
      if (ends === undefined || ![ends.producer, ends.consumer].some(({ role, slot }) => role === seat.role && slot === seat.slot)) continue
      const error = this.#damageTo(channel, term)
      if (error === undefined) continue
      rmSync(this.#path(channel), { force: true })
      this.#make(channel)
      made.push({ name: channel.name, error })
    }
    return made
  }

  /** Fences what it finds damaged. A channel that is not there is one that could not be made anew the last time. */
  #damageTo(channel: PlannedChannel, term: number): MillraceError | undefined {
    let mapping: Mapping
    try {
      mapping = Mapping.open(this.#path(channel))
    } catch (error) {
      if (isMillraceError(error, 'ERR_SHM_MISSING')) return error
      throw error
    }
    const error = damageTo(mapping.buffer) ?? impossibleTerm(mapping.buffer, term)
    if (error !== undefined) fenceChannel(new Int32Array(mapping.buffer))
    mapping.close()
    return error
  }

  #make(channel: PlannedChannel): void {
    const { name, capacityBytes } = channel
    const mapping = Mapping.create(this.#path(channel), channelBytes(capacityBytes))
    createChannel(mapping.buffer, { capacityBytes, schemaHash: this.#schemaHash, name, hasChecksums: true })
    mapping.close()
  }

  #path({ name }: PlannedChannel): string {
    return channelPath(this.#runtimeDirectory, name)
  }
}

function impossibleTerm(buffer: ArrayBuffer, latest: number): MillraceError | undefined {
  const { name, producer, consumer } = channelStat(buffer)
  if (distance(producer.term, latest) >= 0 && distance(consumer.term, latest) >= 0) return undefined
  return new MillraceError('ERR_CHANNEL_CORRUPT', {
    fact: 'the channel is damaged, a term in it has never been given away',
    action: 'restart',
    values: { channel: name, producerTerm: producer.term, consumerTerm: consumer.term, latest },
  })
}
