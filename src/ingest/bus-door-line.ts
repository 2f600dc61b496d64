import type { CommandHeader } from '#entity/command-frame.js'
import { commandFrameBytes } from '#entity/command-frame.js'
import type { Codec } from '#schema/index.js'
import type { BusDoor } from './bus-door.js'
import type { DoorLine, Offered, SettleLine } from './door.js'
import type { Lane } from './lanes.js'
import type { LineTemplates } from './line-templates.js'

/** A line of a BusDoor: small, as a gateway may have many thousands of them that take turns. */
export class BusDoorLine implements DoorLine {
  readonly shard: number
  readonly lane: Lane
  readonly codec: Codec
  /** Place and length of its header. */
  readonly template: number
  readonly headerBytes: number
  readonly #door: BusDoor
  readonly #templates: LineTemplates
  #isClosed = false

  /** Made by the door; all that differs from command to command is overwritten in `header`. */
  constructor(door: BusDoor, shard: number, lane: Lane, codec: Codec, templates: LineTemplates, header: CommandHeader) {
    this.shard = shard
    this.lane = lane
    this.codec = codec
    this.template = templates.add(header)
    this.headerBytes = commandFrameBytes(header)
    this.#door = door
    this.#templates = templates
    lane.lineCount++
  }

  offer(sequence: number, data: Readonly<Record<string, unknown>>, at: number, settle: SettleLine, token: number): Offered {
    return this.#isClosed ? CLOSED : this.#door.offerOn(this, sequence, data, at, settle, token)
  }

  close(): void {
    if (this.#isClosed) return
    this.#isClosed = true
    this.lane.lineCount--
    this.#templates.remove(this.template, this.headerBytes)
  }
}

const CLOSED: Offered = { rejected: 'the line is closed' }
