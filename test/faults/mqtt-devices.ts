import mqttPackage, { type MqttClient } from 'mqtt'

/** Not acknowledged by the broker, over all devices of a connection. */
const WINDOW = 100

/** Devices that number their messages from 1 and publish them in turns, over a few connections; each device keeps to one of them. */
export class MqttDevices {
  /** Per device, what the broker acknowledged. */
  readonly acked: number[]
  readonly #clients: readonly MqttClient[]

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

  /** Publishes `count` messages at about `perSecond` and resolves once the broker has acknowledged all of them. */
  async publish(count: number, perSecond: number): Promise<void> {
    const startMs = performance.now()
    await Promise.all(this.#clients.map((client, index) => this.#publishOver(client, index, { count, perSecond, startMs })))
  }

  async #publishOver(
    client: MqttClient,
    index: number,
    { count, perSecond, startMs }: { readonly count: number; readonly perSecond: number; readonly startMs: number },
  ): Promise<void> {
    let open = 0
    let failure: unknown
    for (let number = index; number < count && failure === undefined; number += this.#clients.length) {
      const dueMs = startMs + (number / perSecond) * 1000
      while (open >= WINDOW || performance.now() < dueMs) await new Promise((resolve) => setTimeout(resolve, 1))
      const device = number % this.acked.length
      const sequence = Math.floor(number / this.acked.length) + 1
      const payload = JSON.stringify({ seq: sequence, ts: Date.now(), temperature: sequence + device / 1000 })
      open++
      client.publishAsync(`factory/press-${device}/sample`, payload, { qos: 1 }).then(
        () => {
          open--
          this.acked[device] = sequence
        },
        (error: unknown) => (failure = error),
      )
    }
    while (open > 0 && failure === undefined) await new Promise((resolve) => setTimeout(resolve, 1))
    if (failure !== undefined) throw failure
  }

  async close(): Promise<void> {
    await Promise.all(this.#clients.map((client) => client.endAsync(true)))
  }
}
