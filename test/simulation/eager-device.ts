import { answerOf, Device } from './device.js'
import type { SentCommand } from './ledger.js'

/**
 * Sends each command by itself and at once, as a program does that does not wait for one before the next: what finds the door full is offered again when there may be
 * room. That nothing gets in before it meanwhile is up to the door.
 */
export class EagerDevice extends Device {
  #known = 0
  #connection = 0

  pump(): void {
    if (this.world.plant.gateway(this.gateway) === undefined) return
    while (this.#known < this.sent.length) this.#offer(this.sent[this.#known++] as SentCommand)
  }

  connect(gateway: number): void {
    this.gateway = gateway
    this.#connection++
    this.#known = this.sent.length
    for (const sent of this.sent) if (sent.answers.length === 0) this.#offer(sent)
  }

  override askAgain(sent: SentCommand): void {
    this.#offer(sent)
  }

  #offer(sent: SentCommand): void {
    const connection = this.#connection
    this.world.plant.atGateway(this.gateway, ({ door }) => {
      const offered = door.offer(this.commandOf(sent), 'always', (settlement) => {
        if (connection === this.#connection) this.told(sent, answerOf(settlement))
      })
      if (typeof offered === 'object') throw new Error(offered.rejected)
      if (offered === 'full') {
        door.onRoom(() => {
          if (connection === this.#connection) this.#offer(sent)
        })
      }
    })
  }
}
