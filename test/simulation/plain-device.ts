import { answerOf, Device } from './device.js'
import type { SentCommand } from './ledger.js'

/** Offers to the door itself and wants every answer. */
export class PlainDevice extends Device {
  #toOffer: SentCommand[] = []
  #isWaiting = false
  /** Counts its connections: what an earlier one is told, nobody hears. */
  #connection = 0
  #known = 0

  pump(): void {
    while (this.#known < this.sent.length) this.#toOffer.push(this.sent[this.#known++] as SentCommand)
    if (this.#isWaiting) return
    this.world.plant.atGateway(this.gateway, () => {
      for (let next = this.#toOffer[0]; next !== undefined; next = this.#toOffer[0]) {
        if (!this.#tryOffer(next)) return this.#awaitRoom()
        this.#toOffer.shift()
      }
    })
  }

  connect(gateway: number): void {
    this.gateway = gateway
    this.#connection++
    this.#isWaiting = false
    this.#toOffer = this.sent.filter(({ answers }) => answers.length === 0)
    this.#known = this.sent.length
    this.pump()
  }

  override askAgain(sent: SentCommand): void {
    this.world.plant.atGateway(this.gateway, () => void this.#tryOffer(sent))
  }

  #tryOffer(sent: SentCommand): boolean {
    const { door } = this.world.plant.gateway(this.gateway) ?? {}
    const connection = this.#connection
    const offered = door?.offer(this.commandOf(sent), 'always', (settlement) => {
      if (connection === this.#connection) this.told(sent, answerOf(settlement))
    })
    if (typeof offered === 'object') throw new Error(offered.rejected)
    return offered === 'accepted'
  }

  #awaitRoom(): void {
    const connection = this.#connection
    this.#isWaiting = true
    this.world.plant.gateway(this.gateway)?.door.onRoom(() => {
      if (connection !== this.#connection) return
      this.#isWaiting = false
      this.pump()
    })
  }
}
