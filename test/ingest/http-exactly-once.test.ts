import { describe, expect, test } from 'vitest'
import { Prng } from '#base/prng.js'
import type { HttpDoor } from '#ingest/http-door.js'
import { soakSeed, soakTimes } from '../soak.js'
import { SOON } from './data.js'
import { FakeDoor } from './fake-door.js'
import { command, linesOf, numbered, openDoor, RawConnection, rawPost } from './http-client.js'

const ROUNDS = soakTimes({ smoke: 12, full: 2000 })
const SEED = soakSeed(7)
const COMMANDS = 80

/** A gateway in front of a plant that outlives it: a crash loses every connection and what was not durable yet. */
class CrashingGateway {
  crashCount = 0
  readonly #plant: FakeDoor
  readonly #prng: Prng
  #door: Promise<HttpDoor>

  constructor(plant: FakeDoor, prng: Prng) {
    this.#plant = plant
    this.#prng = prng
    this.#door = openDoor(plant, { limits: { roomMs: 2 } })
  }

  async connect(): Promise<RawConnection> {
    return new RawConnection(await this.#door)
  }

  /** Has room for a while or none, gets things done, and crashes, until told otherwise. */
  async live(isOver: () => boolean): Promise<void> {
    while (!isOver()) {
      await new Promise((resolve) => setImmediate(resolve))
      const chance = this.#prng.below(200)
      if (chance === 0) await this.#crash()
      else if (chance < 20) this.#plant.capacity = this.#prng.below(2) * 12
      else this.#plant.settle(this.#prng.below(4))
    }
  }

  async #crash(): Promise<void> {
    const dead = this.#door
    this.crashCount++
    this.#door = dead.then(async (door) => {
      this.#plant.crash(this.#prng.below(this.#plant.inFlightCount + 1))
      await door.close(0)
      return openDoor(this.#plant, { limits: { roomMs: 2 } })
    })
    await this.#door
  }
}

interface Heard {
  readonly ok: boolean | null
  readonly reply?: number
  readonly refused?: string
}

/**
 * A client as it should be: sends some requests behind each other over one connection, hears what becomes of them, and goes on from the first command
 * that was not answered. Never more at a time than an entity remembers outcomes. All that it was told, by number.
 */
async function sendAll(gateway: CrashingGateway, prng: Prng): Promise<Map<number, Heard>> {
  const heard = new Map<number, Heard>()
  let connection = await gateway.connect()
  for (let next = 1; next <= COMMANDS; ) {
    const starts: number[] = []
    let text = ''
    for (let number = next, width = 1 + prng.below(4); starts.length < width && number <= COMMANDS; ) {
      const count = Math.min(1 + prng.below(4), COMMANDS + 1 - number)
      text += rawPost(linesOf(...Array.from({ length: count }, (_, n) => command(number + n))), numbered('plc', number))
      starts.push(number)
      number += count
    }
    const before = connection.answers.length
    connection.write(text)
    await expect.poll(() => connection.isClosed || connection.answers.length === before + starts.length, SOON).toBe(true)
    for (const [index, { status, lines }] of connection.answers.slice(before).entries()) {
      const answers = (status === 200 ? lines : lines[0]?.['answers']) as Heard[]
      for (const [place, one] of answers.entries()) {
        const number = (starts[index] as number) + place
        // Told twice, it must be the same.
        if (heard.has(number)) expect(one).toEqual(heard.get(number))
        heard.set(number, one)
      }
    }
    while (heard.has(next)) next++
    // One who has lost track begins some commands earlier.
    if (next <= COMMANDS && prng.below(4) === 0) next = Math.max(1, next - 3)
    if (connection.isClosed) connection = await gateway.connect()
  }
  return heard
}

describe('clients that repeat what was not answered, before gateways that crash and plants that fill', () => {
  test(`have each command done once, in order, and hear the one answer that it had (${ROUNDS} rounds)`, async () => {
    let crashCount = 0
    for (let round = 0; round < ROUNDS; round++) {
      const plant = new FakeDoor({
        isManual: true,
        decide: ({ data }) => (Number(data.t) % 5 === 0 ? { refuse: 'FIFTH' } : { reply: data.t }),
      })
      const gateway = new CrashingGateway(plant, new Prng(`${SEED}-${round}`))
      let isOver = false
      const living = gateway.live(() => isOver)

      const heard = await sendAll(gateway, new Prng(`${SEED}-${round}-client`)).finally(() => (isOver = true))
      await living

      const where = `seed ${SEED}, round ${round}`
      const all = Array.from({ length: COMMANDS }, (_, index) => index + 1)
      const told = all.map((number) => heard.get(number)).map((one) => (one?.ok === true ? one.reply : one?.refused))
      expect(
        plant.stored.map(({ data }) => data.t),
        where,
      ).toEqual(all.filter((t) => t % 5 !== 0))
      expect(
        plant.refused.map(({ data }) => data.t),
        where,
      ).toEqual(all.filter((t) => t % 5 === 0))
      expect(told, where).toEqual(all.map((t) => (t % 5 === 0 ? 'FIFTH' : t)))
      crashCount += gateway.crashCount
    }
    expect(crashCount).toBeGreaterThan(ROUNDS)
  }, 60_000)
})
