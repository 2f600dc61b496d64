import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, truncateSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { defineEntity, i32 } from '#entity/index.js'
import { type InlinePlant, openPlant } from '#runtime/inline-plant.js'
import { backupLog } from '#runtime/log-backup.js'
import { restoreLog } from '#runtime/log-restore.js'
import { readRows, type Snapshot } from '#journal/index.js'
import { CountingClients } from './counting-clients.js'
import { PlantFolder } from './plant-folder.js'
import { ProgramUnderTest, run, startPlant, until } from './program-under-test.js'

const MAIN = fileURLToPath(new URL('../../dist/apps/cli/main.js', import.meta.url))

const Counter = defineEntity({
  name: 'counter',
  events: { Counted: { n: i32() } },
  commands: { count: { n: i32() } },
  initial: () => ({ count: 0 }),
  decide: {
    count(state, command, { emit }) {
      emit.Counted(command)
      return state.count + 1
    },
  },
  apply: { Counted: (state) => void state.count++ },
  snapshotEvery: 20,
})

describe('a backup of a plant at work', () => {
  test('is a prefix of its log with all that was acknowledged before, and what a plant goes on from', async () => {
    const folder = new PlantFolder()
    const to = (name: string) => join(folder.path, name)
    const { up } = await startPlant(folder)
    const clients = await CountingClients.open(folder, 20)
    await until('some counts are acknowledged', () => clients.acked >= 1000)
    const acked = clients.acked
    const { code, json, stderr } = await run(folder, ['log', 'backup', to('backup'), '--json'])
    expect(code, stderr).toBe(0)
    const end = json['endPosition'] as number
    expect(end).toBeGreaterThanOrEqual(acked)
    await until('more counts are acknowledged', () => clients.acked > end)
    clients.stop()
    await until('all is answered', () => clients.isSettled)
    await clients.close()

    const restored = { data: to('restored'), rest: ['--data', to('restored')] }
    const restoring = new ProgramUnderTest(['log', 'restore', to('backup'), '--json', ...restored.rest], { cwd: folder.path })
    expect(await restoring.ended, restoring.stderr).toBe(0)
    const rowsOf = async (words: readonly string[]) => {
      const query = new ProgramUnderTest(['query', '--receipts', '--json', ...words], { cwd: folder.path })
      await query.ended
      return query.stdout
    }
    expect(await rowsOf(restored.rest)).toBe(await rowsOf(['--data', folder.data, '--to', String(end - 1)]))

    up.kill('SIGTERM')
    await up.ended
    const words = ['send', 'counter/counter-0', 'count', '{"n":1}', '--json', ...restored.rest]
    const sent = new ProgramUnderTest(words, { cwd: folder.path })
    expect(await sent.ended, sent.stderr).toBe(0)
    expect(sent.json).toMatchObject([{ ok: true }])
    expect(folder.remove()).toEqual([])
  })
})

describe('a backup', () => {
  let folder = ''
  let data = ''
  let backup = ''
  const options = () => ({ dataDirectory: data, directory: backup })

  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'millrace-backup-'))
    data = join(folder, 'data')
    backup = join(folder, 'backup')
  })

  afterEach(() => rmSync(folder, { recursive: true }))

  async function withPlant<T>(use: (plant: InlinePlant) => Promise<T>, directory = data): Promise<T> {
    const plant = await openPlant({ entities: [Counter], data: directory })
    try {
      return await use(plant)
    } finally {
      await plant.close()
    }
  }

  async function count(plant: InlinePlant, times: number): Promise<void> {
    await Promise.all(Array.from({ length: times }, (_, n) => plant.entity(Counter, `c${n % 3}`).count({ n })))
  }

  async function rowsOf(plant: InlinePlant): Promise<unknown[]> {
    const rows: unknown[] = []
    for await (const row of readRows(plant.journal, { from: 0 })) rows.push(row)
    return rows
  }

  test('copies sealed segments once, and the rest anew each time; restored it is the same log, with bases and checkpoints, under higher terms', async () => {
    await withPlant(async (plant) => {
      await count(plant, 30)
      await plant.journal.seal()
      await count(plant, 30)
      await plant.journal.seal()
      await plant.journal.saveCheckpoint('reader', new Uint8Array([1, 2, 3]))
    })
    mkdirSync(join(data, 'ingest'), { recursive: true })
    writeFileSync(join(data, 'ingest', 'till.csv.json'), '{"row":5}')
    const first = await backupLog(options())
    const before = await withPlant(async (plant) => {
      const bases = ['c0', 'c1', 'c2'].map((name) => plant.journal.snapshot(`counter/${name}`) as Snapshot)
      await plant.journal.saveBases(bases)
      await plant.journal.dropOldest(plant.journal.sealedSegments()[0]?.name as string)
      await count(plant, 30)
      await plant.journal.seal()
      await count(plant, 5)
      return { rows: await rowsOf(plant), state: await plant.state(Counter, 'c0') }
    })
    const second = await backupLog(options())

    const report = await restoreLog({ backup, dataDirectory: join(folder, 'restored') })

    expect(first).toMatchObject({ endPosition: 60, copiedBytes: first.bytes, damage: [] })
    expect(second).toMatchObject({ firstPosition: 30, endPosition: 95, damage: [] })
    expect(second.copiedBytes).toBeLessThan(second.bytes)
    expect(report).toMatchObject({ firstPosition: 30, endPosition: 95, findings: [] })
    expect(readdirSync(join(backup, 'segments'))).toHaveLength(2)
    expect(readdirSync(backup).filter((name) => name.startsWith('catalog'))).toHaveLength(1)
    expect(readFileSync(join(folder, 'restored/ingest/till.csv.json'), 'utf8')).toBe('{"row":5}')
    const termOf = (directory: string) => Number(readFileSync(join(directory, 'term'), 'utf8').split(' ')[2])
    expect(termOf(join(folder, 'restored'))).toBeGreaterThan(termOf(data) + 60_000)
    await withPlant(
      async (plant) => {
        expect(await rowsOf(plant)).toEqual(before.rows)
        expect(await plant.state(Counter, 'c0')).toEqual(before.state)
        expect(plant.journal.checkpoint('reader')).toEqual(new Uint8Array([1, 2, 3]))
        await count(plant, 3)
        const { live, replayed } = await plant.stateHash()
        expect(live).toBe(replayed)
      },
      join(folder, 'restored'),
    )
  })

  test('of which any file is another is not restored, and the directory stays without a log', async () => {
    await withPlant(async (plant) => {
      await count(plant, 10)
      await plant.journal.seal()
      await count(plant, 10)
    })
    await backupLog(options())
    const files = (readdirSync(backup, { recursive: true }) as string[]).filter((name) => /\.(pairs|segment|json)$/.test(name))
    expect(files.length).toBeGreaterThanOrEqual(5)

    for (const [index, name] of files.entries()) {
      const path = join(backup, name)
      const whole = readFileSync(path)
      if (index % 2 === 0) truncateSync(path, whole.length - 1)
      else
        writeFileSync(
          path,
          whole.map((byte, at) => (at === whole.length >> 1 ? byte ^ 1 : byte)),
        )
      const restored = restoreLog({ backup, dataDirectory: join(folder, 'restored') })
      await expect(restored, name).rejects.toMatchObject({ code: 'ERR_BACKUP_DAMAGED' })
      expect(existsSync(join(folder, 'restored/journal'))).toBe(false)
      writeFileSync(path, whole)
    }
    // What such a restore leaves is told from an empty directory, and may be tried again.
    if (existsSync(join(folder, 'restored'))) {
      await expect(openPlant({ entities: [Counter], data: join(folder, 'restored') })).rejects.toMatchObject({
        code: 'ERR_RESTORE_UNFINISHED',
      })
    }
    expect(await restoreLog({ backup, dataDirectory: join(folder, 'restored') })).toMatchObject({ endPosition: 20 })
    await expect(restoreLog({ backup, dataDirectory: join(folder, 'restored') })).rejects.toMatchObject({ code: 'ERR_RESTORE_TARGET' })
  })

  test('that is interrupted leaves the one before, or none', async () => {
    await withPlant((plant) => count(plant, 20))
    const interrupted = new AbortController()
    const onProgress = () => interrupted.abort(new Error('enough'))

    await expect(backupLog({ ...options(), signal: interrupted.signal, onProgress })).rejects.toThrow('enough')
    await expect(restoreLog({ backup, dataDirectory: join(folder, 'restored') })).rejects.toMatchObject({ code: 'ERR_NO_BACKUP' })
    expect(readdirSync(backup).sort()).toEqual(['.millrace-backup', 'backup.lock'])
    await backupLog(options())
    const list = readFileSync(join(backup, 'backup.json'), 'utf8')
    const files = readdirSync(backup)
    await withPlant((plant) => count(plant, 20))
    await expect(backupLog({ ...options(), signal: interrupted.signal, onProgress })).rejects.toThrow('enough')

    expect(readFileSync(join(backup, 'backup.json'), 'utf8')).toBe(list)
    expect(readdirSync(backup)).toEqual(files)
  })

  test('says when its disk is full, and leaves what was there', async () => {
    await withPlant((plant) => count(plant, 40))
    const script = `trap '' XFSZ; ulimit -f 1; exec "$0" "$@"`
    const words = [MAIN, 'log', 'backup', backup, '--data', data]

    const { status, stderr } = spawnSync('bash', ['-c', script, process.execPath, ...words], { encoding: 'utf8', timeout: 60_000 })

    expect(stderr).toMatch(/the disk of the backup is full path=\S+\.pairs/)
    expect(status).toBe(1)
    expect(readdirSync(backup).sort()).toEqual(['.millrace-backup', 'backup.lock'])
  })

  test('is not made of a damaged log without a word, nor into a directory that has something else', async () => {
    await withPlant((plant) => count(plant, 40))
    const file = join(data, 'journal/log/000000000000.active/data.mdb')
    const bytes = readFileSync(file)
    // Some of them lie in pages that are free by now.
    for (let at = bytes.indexOf('MRBLOCK'); at >= 0; at = bytes.indexOf('MRBLOCK', at + 1))
      bytes[at + 120] = (bytes[at + 120] as number) ^ 1
    writeFileSync(file, bytes)
    mkdirSync(join(folder, 'mine'))
    writeFileSync(join(folder, 'mine', 'precious'), 'x')

    await expect(backupLog({ ...options(), directory: join(folder, 'mine') })).rejects.toMatchObject({ code: 'ERR_BACKUP_TARGET' })
    await expect(backupLog(options())).rejects.toMatchObject({ code: 'ERR_LOG_DAMAGED', message: expect.stringMatching(/block/) })
    expect(readdirSync(join(folder, 'mine'))).toEqual(['precious'])
    const { damage } = await backupLog({ ...options(), acceptsDamage: true })

    expect(damage.length).toBeGreaterThan(0)
    await expect(restoreLog({ backup, dataDirectory: join(folder, 'restored') })).rejects.toMatchObject({ code: 'ERR_BACKUP_DAMAGED' })
    const { findings } = await restoreLog({ backup, dataDirectory: join(folder, 'restored'), acceptsDamage: true })
    expect(findings.filter(({ severity }) => severity === 'damaged')).not.toEqual([])
    expect(statSync(join(folder, 'restored/journal')).isDirectory()).toBe(true)
  })
})
