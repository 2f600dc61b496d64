import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, onTestFinished, test } from 'vitest'
import { compileRecordedDisk } from '../../bench/harness/recorded-disk.js'
import { CountingClients } from '../apps/counting-clients.js'
import { PlantFolder } from '../apps/plant-folder.js'
import { run as runIn, startPlant, until } from '../apps/program-under-test.js'
import { LimitedDisk, MountedDisk, type SmallDisk, whyNotMounted } from './small-disk.js'

const MEGABYTE = 1 << 20
const DISK_BYTES = 48 * MEGABYTE
const RESERVE = { MILLRACE_JOURNAL__RESERVE_BYTES: '8MiB' }
const clean = { ackedMissing: 0, duplicated: 0, outOfOrder: 0, invented: 0 }

const own = mkdtempSync(join(tmpdir(), 'millrace-full-'))
afterAll(() => rmSync(own, { recursive: true, force: true }))

interface Kind {
  readonly name: string
  readonly whyNot: string | undefined
  make(data: string): SmallDisk
}

const recorder = await compileRecordedDisk(own)
const KINDS: readonly Kind[] = [
  { name: 'a file system of its own', whyNot: whyNotMounted(), make: (data) => new MountedDisk(data, DISK_BYTES) },
  {
    name: 'a limit to what its files may grow',
    whyNot: typeof recorder === 'string' ? recorder : undefined,
    make: (data) => {
      if (typeof recorder === 'string') throw new Error(recorder)
      return new LimitedDisk(data, DISK_BYTES, { ...recorder, folder: own })
    },
  },
]

test.runIf(process.env['CI'] === 'true')('a disk can be made full here, in one way or another', () => {
  expect(KINDS.map(({ whyNot }) => whyNot)).toContain(undefined)
})

for (const kind of KINDS)
  describe.skipIf(kind.whyNot !== undefined)(`a plant whose disk is full: ${kind.whyNot ?? kind.name}`, () => {
    function smallPlant() {
      const folder = new PlantFolder()
      const disk = kind.make(folder.data)
      onTestFinished(() => {
        folder.remove()
        disk.remove()
      })
      const start = async () => {
        const { up, ready } = await startPlant(folder, { env: { ...RESERVE, ...disk.environment } })
        const stop = async () => {
          up.kill('SIGTERM')
          await up.ended
        }
        onTestFinished(stop)
        return { up, ready, stop }
      }
      const run = (...words: readonly string[]) => runIn(folder, words, disk.environment)
      return { folder, disk, start, run }
    }

    test('takes nothing and says why, answers reads, and goes on by itself when there is room, with nothing lost', async () => {
      const { folder, disk, start, run } = smallPlant()
      const { up, ready } = await start()
      const clients = await CountingClients.open(folder, 8)
      await until('some hundred events are durable', () => clients.acked > 300)

      disk.fill(4 * MEGABYTE)
      await until('the plant says so', async () => (await fetch(`${ready.http}/readyz`)).status === 503)
      const refused = await fetch(`${ready.http}/v1/commands`, { method: 'POST', body: '{}' })
      const read = await run('query', '--entity', 'counter/counter-0', '--receipts', '--json')
      // By now whoever's commands were stored before that has heard of it.
      const acked = clients.acked
      const verified = await run('log', 'verify', '--json')

      expect(clients.acked - acked).toBe(0)
      expect(refused.status).toBe(503)
      expect(refused.headers.get('retry-after')).toBe('5')
      expect(((await refused.json()) as { error: string }).error).toMatch(/^the disk of the plant is full/)
      expect(up.stderr).toBe('')
      expect(read.code).toBe(0)
      expect(read.lines.length).toBeGreaterThan(10)
      expect(verified).toMatchObject({ code: 0, json: { ok: true } })

      disk.empty()
      await until('events go on', () => clients.acked > acked + 300)
      clients.stop()
      await until('all are durable', () => clients.isSettled)
      expect(await clients.check(folder)).toMatchObject(clean)
      await clients.close()
    })

    test('is read when the last byte is gone, even with the locks of its store, starts and serves reads then, and takes commands once there is room', async () => {
      const { folder, disk, start, run } = smallPlant()
      const first = await start()
      const sent = await run('send', 'counter/a', 'count', '{"n":7}', '--json')
      await first.stop()
      rmSync(join(folder.data, 'journal', 'catalog', 'lock.mdb'))
      disk.fill(0)

      const offline = await run('get', 'counter/a', '--json')
      const verified = await run('log', 'verify', '--json')
      const { ready } = await start()
      const online = await run('get', 'counter/a', '--json')
      await until('the plant says that it is full', async () => {
        await fetch(`${ready.http}/v1/commands`, {
          method: 'POST',
          headers: { 'content-type': 'application/json', 'millrace-source': 'me', 'millrace-sequence': '1' },
          body: JSON.stringify({ entity: 'counter/a', command: 'count', data: { n: 8 } }),
          signal: AbortSignal.timeout(300),
        }).catch(() => undefined)
        return (await fetch(`${ready.http}/readyz`)).status === 503
      })
      disk.empty()
      const again = await run('send', 'counter/a', 'count', '{"n":9}', '--json')

      expect(sent.code).toBe(0)
      expect(offline).toMatchObject({ code: 0, json: { entity: 'counter/a', version: 1, state: { count: 1, last: 7 } } })
      expect(verified).toMatchObject({ code: 0, json: { ok: true } })
      expect(online.json).toEqual(offline.json)
      expect(again).toMatchObject({ code: 0, json: { ok: true } })
    })
  })
