import { rmSync, symlinkSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, describe, expect, test } from 'vitest'
import { CountingClients } from '../apps/counting-clients.js'
import { PlantFolder } from '../apps/plant-folder.js'
import { bePatient, type ProgramUnderTest, run, startPlant, until } from '../apps/program-under-test.js'
import { SmallDisk, whyNoSmallDisk } from './small-disk.js'

bePatient()

const MEGABYTE = 1 << 20
const RESERVE = { MILLRACE_JOURNAL__RESERVE_BYTES: '8MiB' }
const clean = { ackedMissing: 0, duplicated: 0, outOfOrder: 0, invented: 0 }
const whyNot = whyNoSmallDisk()

describe.skipIf(whyNot !== undefined)(`a plant whose disk is full (${whyNot ?? 'on a small disk'})`, () => {
  let disk: SmallDisk
  let folder: PlantFolder
  const running: ProgramUnderTest[] = []

  const start = async () => {
    const { up, ready } = await startPlant(folder, { env: RESERVE })
    running.push(up)
    return { up, ready }
  }

  const make = () => {
    disk = new SmallDisk(48)
    folder = new PlantFolder()
    symlinkSync(disk.path, folder.data)
  }

  afterEach(async () => {
    for (const up of running.splice(0)) {
      up.kill('SIGTERM')
      await up.ended
    }
    folder.remove()
    disk.remove()
  })

  test('takes nothing and says why, answers reads, and goes on by itself when there is room, with nothing lost', async () => {
    make()
    const { up, ready } = await start()
    const clients = await CountingClients.open(folder, 8)
    await until('some hundred events are durable', () => clients.acked > 300)

    disk.fill(4 * MEGABYTE)
    await until('the plant says so', async () => (await fetch(`${ready.http}/readyz`)).status === 503)
    const acked = clients.acked
    const refused = await fetch(`${ready.http}/v1/commands`, { method: 'POST', body: '{}' })
    const read = await run(folder, ['query', '--entity', 'counter/counter-0', '--receipts', '--json'])
    const verified = await run(folder, ['log', 'verify', '--json'])

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

  test('starts and serves reads when the last byte is gone, and takes commands once there is room', async () => {
    make()
    const first = await start()
    const sent = await run(folder, ['send', 'counter/a', 'count', '{"n":7}', '--json'])
    first.up.kill('SIGTERM')
    await first.up.ended
    disk.fill(0)

    const offline = await run(folder, ['get', 'counter/a', '--json'])
    const { ready } = await start()
    const online = await run(folder, ['get', 'counter/a', '--json'])
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
    const again = await run(folder, ['send', 'counter/a', 'count', '{"n":9}', '--json'])

    expect(sent.code).toBe(0)
    expect(offline).toMatchObject({ code: 0, json: { entity: 'counter/a', version: 1, state: { count: 1, last: 7 } } })
    expect(online.json).toEqual(offline.json)
    expect(again).toMatchObject({ code: 0, json: { ok: true } })
  })

  test('is refused reads no more than before where even the locks of its store are gone', async () => {
    make()
    const { up } = await start()
    await run(folder, ['send', 'counter/a', 'count', '{"n":7}', '--json'])
    up.kill('SIGTERM')
    await up.ended
    rmSync(join(folder.data, 'journal', 'catalog', 'lock.mdb'))
    disk.fill(0)

    const read = await run(folder, ['get', 'counter/a', '--json'])
    const verified = await run(folder, ['log', 'verify', '--json'])

    expect(read).toMatchObject({ code: 0, json: { version: 1, state: { count: 1, last: 7 } } })
    expect(verified).toMatchObject({ code: 0, json: { ok: true } })
  })
})
