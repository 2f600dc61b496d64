import mqttPackage, { type MqttClient } from 'mqtt'

/** Not acknowledged by the broker, over all devices of a connection. */
const WINDOW = 100

/** Devices that number their messages from 1 and publish them in turns, over a few connections; each device keeps to one of them. */
export class MqttDevices {
  /** Per device, what the broker acknowledged. */
  readonly acked: number[]
  readonly #clients: readonly MqttClient[]
  #published = 0

  static async connect(url: string, options: { readonly devices: number; readonly connections: number }): Promise<MqttDevices> {
    const clients = await Promise.all(
      Array.from({ length: options.connections }, (_, index) =>
        mqttPackage.connectAsync(url, { clientId: `devices-${index}`, reconnectPeriod: 0 }),
      ),
    )
    return new MqttDevices(clients, options.devices)
  }

  private constructor(clients: readonly MqttClient[], devices: number) {
    this.#clients = clients
    this.acked = Array.from({ length: devices }, () => 0)
  }

  get ackedCount(): number {
    return this.acked.reduce((sum, count) => sum + count, 0)
  }

  /** Publishes `count` more as fast as the broker takes them, and resolves once it has acknowledged all of them. */
  async publish(count: number): Promise<void> {
    const first = this.#published
    this.#published += count
    await Promise.all(this.#clients.map((client, index) => this.#publishOver(client, index, first, first + count)))
  }

  async #publishOver(client: MqttClient, index: number, first: number, end: number): Promise<void> {
    const open = new Set<Promise<void>>()
    for (let number = first; number < end; number++) {
      const device = number % this.acked.length
      if (device % this.#clients.length !== index) continue
      const sequence = Math.floor(number / this.acked.length) + 1
      const payload = JSON.stringify({ seq: sequence, ts: Date.now(), temperature: (sequence % 100) + device / 1000 })
      const one = client.publishAsync(`factory/press-${device}/sample`, payload, { qos: 1 }).then(() => {
        this.acked[device] = sequence
        open.delete(one)
      })
      open.add(one)
      if (open.size >= WINDOW) await Promise.race(open)
    }
    await Promise.all(open)
  }

  async close(): Promise<void> {
    await Promise.all(this.#clients.map((client) => client.endAsync(true)))
  }
}
