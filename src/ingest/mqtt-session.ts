import { mkdir, open, readFile, rename } from 'node:fs/promises'
import { dirname } from 'node:path'
import { z } from 'zod'

/** What a broker was asked to keep for a client id. */
export interface MqttSession {
  readonly clientId: string
  /** Subscribed: the broker said so. */
  readonly filters: readonly string[]
  /** Perhaps subscribed: it was asked. */
  readonly asked: readonly string[]
}

const sessionSpec = z.object({ clientId: z.string(), filters: z.array(z.string()), asked: z.array(z.string()) })

/**
 * Remembers what the session at the broker is subscribed to, since the broker cannot be asked. Without it a restart would subscribe again and
 * get all retained messages again, and a filter that was taken out of the definition would stay subscribed for ever. Losing the file costs no
 * more than that.
 */
export class MqttSessionFile {
  readonly #path: string

  constructor(path: string) {
    this.#path = path
  }

  /** Undefined when nothing of use is there. */
  async load(clientId: string): Promise<MqttSession | undefined> {
    try {
      const parsed = sessionSpec.safeParse(JSON.parse(await readFile(this.#path, 'utf8')))
      return parsed.success && parsed.data.clientId === clientId ? parsed.data : undefined
    } catch {
      return undefined
    }
  }

  /** A crash leaves the old file or the new one. */
  async save(session: MqttSession): Promise<void> {
    await mkdir(dirname(this.#path), { recursive: true, mode: 0o700 })
    const next = await open(`${this.#path}.next`, 'w', 0o600)
    try {
      await next.writeFile(`${JSON.stringify(session)}\n`)
      await next.sync()
    } finally {
      await next.close()
    }
    await rename(`${this.#path}.next`, this.#path)
  }
}
