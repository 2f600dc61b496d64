import { Agent, request } from 'node:http'
import { MillraceError } from '#base/errors.js'

const COMMANDS_PER_REQUEST = 100
/** As many clients as send at a time; each has sources and entities of its own. */
const CLIENTS = 16

/** Numbered samples of presses by POST, 100 JSON lines a request, one request of a client at a time. */
export class HttpLoad {
  static readonly commandsPerRequest = COMMANDS_PER_REQUEST

  readonly #url: string
  readonly #agent = new Agent({ keepAlive: true, maxSockets: CLIENTS })
  readonly #entitiesEach: number
  readonly #sequences = new Array<number>(CLIENTS).fill(1)
  readonly #idle = Array.from({ length: CLIENTS }, (_, client) => client)
  #sent = 0

  constructor(url: string, entities: number) {
    this.#url = url
    this.#entitiesEach = Math.max(COMMANDS_PER_REQUEST / 10, Math.floor(entities / CLIENTS))
  }

  get sentCount(): number {
    return this.#sent
  }

  async flood(seconds: number): Promise<number> {
    const before = this.#sent
    const endMs = performance.now() + seconds * 1000
    const loop = async (client: number) => {
      while (performance.now() < endMs) await this.#post(client)
    }
    await Promise.all(this.#idle.map(loop))
    return this.#sent - before
  }

  /** One wait per request. A request that is due while all clients wait counts from when it was due. */
  async pace(perSecond: number, seconds: number): Promise<Float64Array> {
    const requestsPerSecond = perSecond / COMMANDS_PER_REQUEST
    const count = Math.max(1, Math.round(requestsPerSecond * seconds))
    const waits = new Float64Array(count)
    const startMs = performance.now()
    let next = 0
    const loop = async (client: number) => {
      for (let index = next++; index < count; index = next++) {
        const dueMs = startMs + (index / requestsPerSecond) * 1000
        const early = dueMs - performance.now()
        if (early > 0) await new Promise((resolve) => setTimeout(resolve, early))
        await this.#post(client)
        waits[index] = performance.now() - dueMs
      }
    }
    await Promise.all(this.#idle.map(loop))
    return waits
  }

  async close(): Promise<void> {
    this.#agent.destroy()
    await Promise.resolve()
  }

  async #post(client: number): Promise<void> {
    const sequence = this.#sequences[client] as number
    const lines: string[] = []
    for (let index = 0; index < COMMANDS_PER_REQUEST; index++) {
      const entity = `press/http-${client}-${(sequence + index) % this.#entitiesEach}`
      const cycle = Math.floor((sequence + index) / this.#entitiesEach)
      lines.push(JSON.stringify({ entity, command: 'sample', data: { temperature: cycle / 8, cycle } }))
    }
    const headers = { 'millrace-source': `bench-${client}`, 'millrace-sequence': String(sequence) }
    for (;;) {
      const { status, body, retryAfterSeconds } = await this.#request(lines.join('\n'), headers)
      if (status === 200 && body.split('\n').filter((line) => line.startsWith('{"ok":true')).length === COMMANDS_PER_REQUEST) break
      if (status !== 429) {
        throw new MillraceError('ERR_BENCH_FAILED', {
          fact: 'a request came to something else than done',
          action: 'operator',
          values: { status, body: body.slice(0, 300) },
        })
      }
      // The same numbers again: what was taken of them takes no effect twice.
      await new Promise((resolve) => setTimeout(resolve, retryAfterSeconds * 1000))
    }
    this.#sequences[client] = sequence + COMMANDS_PER_REQUEST
    this.#sent += COMMANDS_PER_REQUEST
  }

  #request(
    body: string,
    headers: Readonly<Record<string, string>>,
  ): Promise<{ readonly status: number; readonly body: string; readonly retryAfterSeconds: number }> {
    return new Promise((resolve, reject) => {
      const outgoing = request(`${this.#url}/v1/commands`, { method: 'POST', agent: this.#agent, headers }, (response) => {
        let text = ''
        response.setEncoding('utf8')
        response.on('data', (chunk: string) => (text += chunk))
        response.on('error', reject)
        response.on('end', () =>
          resolve({ status: response.statusCode ?? 0, body: text, retryAfterSeconds: Number(response.headers['retry-after'] ?? 1) }),
        )
      })
      outgoing.on('error', reject)
      outgoing.end(body)
    })
  }
}
