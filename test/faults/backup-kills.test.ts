import { spawn } from 'node:child_process'
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { isMillraceError } from '#base/errors.js'
import { Prng } from '#base/prng.js'
import { defineEntity, i32 } from '#entity/index.js'
import { openPlant } from '#runtime/inline-plant.js'
import { backupLog } from '#runtime/log-backup.js'
import { restoreLog } from '#runtime/log-restore.js'
import { soakSeed, soakTimes } from '../soak.js'

const MAIN = fileURLToPath(new URL('../../dist/apps/cli/main.js', import.meta.url))
const seed = soakSeed(4)
const kills = soakTimes({ smoke: 1, full: 100 })
/** About what a backup or a restore takes from the start of the process on. */
const WITHIN_MS = 900

const Counter = defineEntity({
  name: 'counter',
  events: { Counted: { n: i32() } },
  commands: { count: { n: i32() } },
  initial: () => ({ count: 0 }),
  decide: { count: (_state, command, { emit }) => emit.Counted(command) },
  apply: { Counted: (state) => void state.count++ },
})

describe(`tools that are killed at any moment, seed ${seed}`, () => {
  const prng = new Prng(seed)
  let folder = ''
  let rows = 0
  const to = (name: string) => join(folder, name)

  /** Each time there are more rows, some of them sealed. */
  async function count(): Promise<void> {
    const plant = await openPlant({ entities: [Counter], data: to('data') })
    await Promise.all(Array.from({ length: 500 }, (_, n) => plant.entity(Counter, `c${n % 9}`).count({ n })))
    await plant.journal.seal()
    await Promise.all(Array.from({ length: 500 }, (_, n) => plant.entity(Counter, `c${n % 9}`).count({ n })))
    rows = plant.journal.endPosition
    await plant.close()
  }

  /** True when it was killed before its end. */
  function killed(words: readonly string[]): Promise<boolean> {
    const tool = spawn(process.execPath, [MAIN, ...words], { stdio: 'ignore' })
    const timer = setTimeout(() => tool.kill('SIGKILL'), prng.below(WITHIN_MS))
    return new Promise((resolve, reject) => {
      tool.on('error', reject)
      tool.on('exit', (code, signal) => {
        clearTimeout(timer)
        if (signal === null && code !== 0) reject(new Error(`${words.join(' ')} failed with ${code}`))
        else resolve(signal !== null)
      })
    })
  }

  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'millrace-kills-'))
    await count()
  })

  afterAll(() => rmSync(folder, { recursive: true }))

  test(`log backup leaves the backup that was there, or the new one: ${kills} kills`, async () => {
    await backupLog({ dataDirectory: to('data'), directory: to('backup') })
    for (let times = 0; times < kills; times++) {
      const before = rows
      await count()

      const wasKilled = await killed(['log', 'backup', to('backup'), '--data', to('data')])

      rmSync(to('restored'), { recursive: true, force: true })
      const { endPosition, findings } = await restoreLog({ backup: to('backup'), dataDirectory: to('restored') })
      expect(wasKilled ? [before, rows] : [rows]).toContain(endPosition)
      expect(findings).toEqual([])
      // The next one works, and cleans up.
      expect((await backupLog({ dataDirectory: to('data'), directory: to('backup') })).endPosition).toBe(rows)
      const listed = (JSON.parse(readFileSync(to('backup/backup.json'), 'utf8')) as { list: { files: { path: string }[] } }).list.files
      const there = (readdirSync(to('backup'), { recursive: true }) as string[]).filter(
        (name) => name.includes('-') && !name.startsWith('.'),
      )
      expect(new Set(there)).toEqual(new Set(listed.map(({ path }) => path)))
    }
  })

  test(`log restore leaves a whole log, or none that a plant would start on: ${kills} kills`, async () => {
    await backupLog({ dataDirectory: to('data'), directory: to('backup') })
    for (let times = 0; times < kills; times++) {
      rmSync(to('restored'), { recursive: true, force: true })

      const wasKilled = await killed(['log', 'restore', to('backup'), '--data', to('restored')])

      const opened = await openPlant({ entities: [Counter], data: to('restored') }).catch((error: unknown) => error)
      if (isMillraceError(opened)) {
        expect(wasKilled).toBe(true)
        expect(opened.code).toBe('ERR_RESTORE_UNFINISHED')
        expect(await restoreLog({ backup: to('backup'), dataDirectory: to('restored') })).toMatchObject({
          endPosition: rows,
          findings: [],
        })
      } else {
        const plant = opened as Awaited<ReturnType<typeof openPlant>>
        // Killed before it had touched the directory, there is a new and empty one.
        expect([0, rows]).toContain(plant.journal.endPosition)
        if (plant.journal.endPosition === 0) expect(wasKilled && !existsSync(to('restored/.restoring'))).toBe(true)
        await plant.close()
      }
    }
  })
})
