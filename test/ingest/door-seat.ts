import { FakeClock } from '#base/clock.js'
import { pack } from '#base/pack.js'
import { channelBytes, Consumer, createChannel, NO_PEER, Producer } from '#bus/index.js'
import { ANSWER_FRAME, ANSWER_HEADER_BYTES, writeAnswer } from '#entity/answer-frame.js'
import { CommandReader } from '#entity/command-frame.js'
import { defineEntity, f64, PlantModel, text } from '#entity/index.js'
import { BusDoor } from '#ingest/bus-door.js'
import type { AnswerWanted, IngestCommand, Settlement } from '#ingest/door.js'
import { Placement } from '#shards/placement.js'

const Press = defineEntity({
  name: 'press',
  events: { Sampled: { force: f64() } },
  commands: { sample: { force: f64() }, note: { text: text() } },
  initial: () => ({ force: 0 }),
  decide: { sample: () => undefined, note: () => undefined },
  apply: { Sampled() {} },
})

const PLANT = new PlantModel([Press])

export interface ReadFrame {
  readonly request: number
  readonly doorTerm: number
  readonly entity: string
  readonly source: string
  readonly sequence: number
  readonly answer: number
  readonly accepted: number
  readonly at: number
  /** Release this position to give it back. */
  readonly end: number
}

/** The worker's side of a door, played by the test. */
export class Seat {
  readonly door: BusDoor
  readonly placement: Placement
  readonly settled: { readonly sequence: number; readonly settlement: Settlement }[] = []
  wakes = 0
  /** Runs once, right after the door has found no more answers: what a worker may do between two steps of the door. */
  meanwhile: (() => void) | undefined
  readonly #memories: { readonly commands: SharedArrayBuffer; readonly answers: SharedArrayBuffer }[]
  readonly #commands: Consumer[]
  readonly #answers: Producer[]
  readonly #term: number

  constructor(options: { capacityBytes?: number; workers?: number; term?: number; of?: Seat } = {}) {
    const { capacityBytes = 4096, workers = 1, term = 1, of } = options
    this.#term = term
    this.placement = of?.placement ?? Placement.even(8, workers)
    const holder = { pid: 1, startTime: 0, term, schemaHash: 0, peer: NO_PEER }
    if (of === undefined) {
      this.#memories = Array.from({ length: workers }, () => memories(capacityBytes))
      this.#commands = this.#memories.map(({ commands }) => new Consumer(commands, holder))
      this.#answers = this.#memories.map(({ answers }) => new Producer(answers, holder))
    } else {
      this.#memories = of.#memories
      this.#commands = of.#commands
      this.#answers = of.#answers
    }
    this.door = new BusDoor({
      plant: PLANT,
      channels: this.#memories.map(({ commands, answers }) => ({
        commands: new Producer(commands, holder),
        answers: this.#interleaved(new Consumer(answers, holder)),
      })),
      placement: this.placement,
      term,
      clock: new FakeClock(),
      wake: () => this.wakes++,
    })
  }

  offer(command: Partial<IngestCommand>, answer: AnswerWanted = 'refused') {
    const { sequence = 1 } = command
    const whole = { source: 's', sequence, entity: 'press/1', command: 'sample', data: { force: 1 }, at: undefined, ...command } as const
    return this.door.offer(whole, answer, (settlement) => this.settled.push({ sequence, settlement }))
  }

  /** Everything published and not read yet; typed as if that were two frames at least. */
  read(worker = 0): [ReadFrame, ReadFrame, ...ReadFrame[]] {
    const consumer = this.#commands[worker] as Consumer
    const frames: ReadFrame[] = []
    for (let offset = consumer.next(); offset >= 0; offset = consumer.next()) {
      const reader = new CommandReader(consumer.bytes, consumer.view).at(offset)
      frames.push({
        request: reader.request,
        doorTerm: reader.doorTerm,
        entity: textOf(reader.bytes, reader.entityOffset, reader.entityBytes),
        source: textOf(reader.bytes, reader.sourceOffset, reader.sourceBytes),
        sequence: reader.sequence,
        answer: reader.answer,
        accepted: reader.acceptedMicros,
        at: reader.atMicros,
        end: consumer.endPosition,
      })
    }
    return frames as [ReadFrame, ReadFrame, ...ReadFrame[]]
  }

  answer(request: number, kind: number, outcome: unknown, options: { version?: number; term?: number; worker?: number } = {}): void {
    const { version = 1, term = this.#term, worker = 0 } = options
    const producer = this.#answers[worker] as Producer
    const bytes = outcome === undefined ? new Uint8Array(0) : pack(outcome)
    const offset = producer.tryClaim(ANSWER_HEADER_BYTES + bytes.length, ANSWER_FRAME)
    writeAnswer(request, term, version, kind, bytes, producer.bytes, producer.view, offset)
    producer.commit()
    producer.publish()
  }

  #interleaved(answers: Consumer): Consumer {
    const next = answers.next.bind(answers)
    answers.next = () => {
      const offset = next()
      if (offset >= 0) return offset
      const { meanwhile } = this
      this.meanwhile = undefined
      meanwhile?.()
      return offset
    }
    return answers
  }

  release(position: number, worker = 0): void {
    ;(this.#commands[worker] as Consumer).release(position)
  }
}

function memories(capacityBytes: number) {
  const [commands, answers] = [0, 1].map(() => {
    const memory = new SharedArrayBuffer(channelBytes(capacityBytes))
    createChannel(memory, { capacityBytes, schemaHash: 0, name: 'test' })
    return memory
  }) as [SharedArrayBuffer, SharedArrayBuffer]
  return { commands, answers }
}

function textOf(bytes: Uint8Array, offset: number, length: number): string {
  return new TextDecoder().decode(bytes.slice(offset, offset + length))
}
