import type { IngestCommand, Settlement } from '#ingest/door.js'
import { AckQueue } from '#ingest/mqtt-acks.js'
import { OfferLanes } from '#ingest/offer-lanes.js'
import { answerOf, Device } from './device.js'
import type { Answer, SentCommand } from './ledger.js'

/** Messages that the gateway has read and not acknowledged; at this many it reads no more. */
const OPEN_MAX = 24
const PUBACK_BYTES = 4

interface Message {
  readonly sent: SentCommand
  readonly command: IngestCommand
  readonly acknowledge: () => void
}

/** The gateway's end of one connection to the broker. */
interface Connection {
  readonly acks: AckQueue
  readonly lanes: OfferLanes<Message>
  /** What it came to, told to the ledger once the broker has the acknowledgement. */
  readonly outcomes: Map<SentCommand, Answer>
}

/**
 * A broker that holds the messages of one publisher, and the gateway that subscribes to them: the broker sends what was not acknowledged again, in order, over the next
 * connection. The order of offers and acknowledgements is that of the real source.
 */
export class MqttDevice extends Device {
  #connection: Connection | undefined
  /** Index of the next message that the broker sends over this connection. */
  #next = 0

  pump(): void {
    this.world.plant.atGateway(this.gateway, ({ door }) => {
      this.#connection ??= this.#connect(door)
      const { acks, lanes, outcomes } = this.#connection
      while (this.#next < this.sent.length && acks.openCount < OPEN_MAX) {
        const sent = this.sent[this.#next++] as SentCommand
        if (sent.answers.length > 0) continue
        const acknowledge = acks.add(sent.sequence, 1)
        outcomes.delete(sent)
        lanes.take({ sent, command: this.commandOf(sent), acknowledge })
      }
    })
  }

  connect(gateway: number): void {
    this.gateway = gateway
    this.#connection?.acks.abandon()
    this.#connection?.lanes.clear()
    this.#connection = undefined
    this.#next = 0
    this.pump()
  }

  #connect(door: ConstructorParameters<typeof OfferLanes>[0]['door']): Connection {
    const outcomes = new Map<SentCommand, Answer>()
    const acks = new AckQueue(
      (bytes) => this.#acknowledged(bytes, outcomes),
      () => undefined,
    )
    const lanes = new OfferLanes<Message>({
      door,
      onSettled: ({ sent, acknowledge }, settlement) => {
        outcomes.set(sent, toldBy(settlement))
        acknowledge()
      },
      onRejected: (_, reason) => {
        throw new Error(reason)
      },
    })
    return { acks, lanes, outcomes }
  }

  /** The broker forgets what was acknowledged. */
  #acknowledged(bytes: Uint8Array, outcomes: ReadonlyMap<SentCommand, Answer>): void {
    for (let offset = 0; offset < bytes.length; offset += PUBACK_BYTES) {
      const sequence = ((bytes[offset + 2] as number) << 8) | (bytes[offset + 3] as number)
      const sent = this.sent[sequence - 1] as SentCommand
      this.told(sent, outcomes.get(sent) as Answer)
    }
  }
}

/** Such a source is told of refusals alone; done is done, whether or not the answer is remembered. */
function toldBy(settlement: Settlement): Answer {
  return settlement.kind === 'refused' ? answerOf(settlement) : { kind: 'acknowledged' }
}
