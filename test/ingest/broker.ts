import { type AddressInfo, createServer, type Server, type Socket } from 'node:net'
import { createServer as createTlsServer } from 'node:tls'
import { Aedes, type AedesOptions, type AedesPublishPacket, type Client } from 'aedes'
import mqttPackage, { type IClientOptions, type MqttClient } from 'mqtt'
import { onTestFinished } from 'vitest'

/** A real broker in this process, with what clients sent to it. */
export class Broker {
  readonly aedes: Aedes
  /** Payloads of the messages that clients acknowledged, in the order of their PUBACKs; `?` for one that the broker does not know. */
  readonly acks = new Map<string, string[]>()
  /** What was published by anybody, in order. */
  readonly published: AedesPublishPacket[] = []
  readonly #server: Server
  readonly #sockets = new Set<Socket>()
  readonly #scheme: string

  private constructor(aedes: Aedes, server: Server, scheme: string) {
    this.aedes = aedes
    this.#server = server
    this.#scheme = scheme
    server.on('connection', (socket: Socket) => {
      this.#sockets.add(socket)
      socket.on('close', () => this.#sockets.delete(socket))
    })
    aedes.on('ack', (packet, client) => {
      const { payload } = (packet as { payload?: Buffer } | undefined) ?? {}
      const acked = this.acks.get(client.id) ?? []
      acked.push(payload?.toString() ?? '?')
      this.acks.set(client.id, acked)
    })
    aedes.on('publish', (packet, client) => {
      if (client !== null) this.published.push(packet)
    })
  }

  /** Listens on a free port, or on a given one; ends with the test. */
  static async start(
    options: AedesOptions & { readonly port?: number; readonly tls?: { readonly cert: string; readonly key: string } } = {},
  ): Promise<Broker> {
    const { port, tls, ...aedesOptions } = options
    const aedes = await Aedes.createBroker(aedesOptions)
    const server = tls === undefined ? createServer(aedes.handle) : createTlsServer(tls, aedes.handle)
    const broker = new Broker(aedes, server, tls === undefined ? 'mqtt' : 'mqtts')
    await new Promise<void>((resolve) => server.listen(port ?? 0, '127.0.0.1', resolve))
    onTestFinished(() => broker.close())
    return broker
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port
  }

  get url(): string {
    return `${this.#scheme}://127.0.0.1:${this.port}`
  }

  get clientIds(): string[] {
    return Object.keys((this.aedes as unknown as { clients: Record<string, Client> }).clients)
  }

  /** Filters of a client that is connected. */
  subscriptionsOf(clientId: string): string[] {
    const { clients } = this.aedes as unknown as { clients: Record<string, { subscriptions: object } | undefined> }
    return Object.keys(clients[clientId]?.subscriptions ?? {})
  }

  acksOf(clientId: string): readonly string[] {
    return this.acks.get(clientId) ?? []
  }

  /** Cuts every connection; clients may come again. */
  cut(): void {
    for (const socket of this.#sockets) socket.destroy()
  }

  /** A client for publishing. */
  async publisher(options: IClientOptions = {}): Promise<MqttClient> {
    const client = await mqttPackage.connectAsync(this.url, { reconnectPeriod: 0, ...options })
    onTestFinished(() => client.endAsync(true))
    return client
  }

  async close(): Promise<void> {
    if (!this.#server.listening) return
    this.cut()
    await new Promise<void>((resolve) => this.aedes.close(resolve))
    await new Promise<void>((resolve) => this.#server.close(() => resolve()))
  }
}
