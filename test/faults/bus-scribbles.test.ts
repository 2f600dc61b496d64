import { type ChildProcess, spawn } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { describe, expect, onTestFinished, test } from 'vitest'
import { temporaryDirectory } from '../shm/temporary-directory.js'
import { until } from '../shm/until.js'
import { soakSeed, soakTimes } from '../soak.js'

const child = fileURLToPath(new URL('children/scribbling-end.mjs', import.meta.url))
const seed = soakSeed(7)
const DAMAGES = soakTimes({ smoke: 40, full: 5000 })

interface Said {
  readonly scribbles: number
  readonly damages: number
  readonly last: number
  readonly wrong: number
  readonly gaps: number
  readonly isDone: boolean
}

/** A process at one end; what it said last. */
class ScribblingEnd {
  readonly #child: ChildProcess
  said: Said = { scribbles: 0, damages: 0, last: -1, wrong: 0, gaps: 0, isDone: false }
  ended: number | string | undefined

  constructor(setup: object) {
    this.#child = spawn(process.execPath, [child, JSON.stringify(setup)], { stdio: ['pipe', 'pipe', 'inherit'] })
    let rest = ''
    this.#child.stdout?.setEncoding('utf8').on('data', (text: string) => {
      const lines = (rest + text).split('\n')
      rest = lines.pop() as string
      if (lines.length > 0) this.said = JSON.parse(lines.at(-1) as string) as Said
    })
    this.#child.once('exit', (code, signal) => {
      this.ended = code ?? signal ?? 'gone'
    })
    onTestFinished(() => {
      this.#child.kill('SIGKILL')
    })
  }

  beQuiet(): void {
    this.#child.stdin?.write('quiet\n')
  }
}

describe('a channel with checksums that is scribbled over while both ends work', () => {
  for (const strategy of ['park', 'adaptive'] as const) {
    test(`is given up and made anew ${DAMAGES} times; no wrong frame comes, none is left out, no end fails or hangs: ${strategy}, seed ${seed}`, async () => {
      const directory = temporaryDirectory()
      const producer = new ScribblingEnd({ role: 'producer', directory, seed, strategy })
      const consumer = new ScribblingEnd({ role: 'consumer', directory, seed, strategy })
      const areAlive = () => producer.ended === undefined && consumer.ended === undefined

      await until('it is given up often', () => !areAlive() || consumer.said.damages >= DAMAGES, 60_000 + DAMAGES * 50)
      producer.beQuiet()
      consumer.beQuiet()
      await until('the producer has sent the rest', () => !areAlive() || producer.said.isDone)
      await until('the consumer has all', () => !areAlive() || consumer.said.last === producer.said.last)

      expect([producer.ended, consumer.ended]).toEqual([undefined, undefined])
      expect(consumer.said).toMatchObject({ wrong: 0, gaps: 0 })
      expect(producer.said.scribbles + consumer.said.scribbles).toBeGreaterThan(DAMAGES)
      expect(producer.said.damages).toBeGreaterThan(DAMAGES / 2)
      expect(producer.said.last).toBeGreaterThan(DAMAGES)
    })
  }
})
