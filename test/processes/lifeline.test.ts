import { spawn } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, test } from 'vitest'
import { type Child, type Ending, spawnChild } from '#processes/child.js'
import type { ChildMessage } from '#processes/control-message.js'
import { EXIT_CODE_ORPHANED } from '#processes/lifeline.js'
import { PROCESS_TABLE_BYTES, ProcessTable } from '#processes/process-table.js'
import { Mapping } from '#shm/index.js'
import { eventually } from './plant-of-children.js'

const CHILD = fileURLToPath(new URL('./children/ordinary-child.mjs', import.meta.url))

describe('a part of a plant that is started by hand', () => {
  test('says that it needs a supervisor', async () => {
    const child = spawn(process.execPath, [CHILD], { stdio: ['ignore', 'ignore', 'pipe'] })
    let said = ''
    child.stderr.on('data', (piece) => {
      said += piece
    })

    const code = await new Promise((resolve) => child.on('exit', resolve))

    expect(code).toBe(1)
    expect(said).toContain('millrace up')
  })
})

describe('a child and its supervisor', () => {
  test('go through loaded, take, ready and stop, and messages sent before anybody listens are not lost', async () => {
    await withChild(CHILD, async (child, heard, ended) => {
      child.send({ kind: 'take', role: 'worker', slot: 3, term: 9, assignment: {} })
      await eventually('the child is ready', () => heard.some(({ kind }) => kind === 'ready'))
      child.send({ kind: 'stop', withinMs: 1000 })

      expect(await ended).toEqual({ kind: 'exit', code: 0 })
      expect(heard.map(({ kind }) => kind)).toEqual(['loaded', 'ready'])
      expect(child.ending).toEqual({ kind: 'exit', code: 0 })
    })
  })

  test('part with a code of its own when the pipe closes', async () => {
    await withChild(CHILD, async (child, heard, ended) => {
      await eventually('the child is loaded', () => heard.length > 0)

      child.hangUp()

      expect(await ended).toEqual({ kind: 'exit', code: EXIT_CODE_ORPHANED })
    })
  })

  test('whose entry is not there ends like any other that dies at once', async () => {
    await withChild(join(tmpdir(), 'no-such-entry.mjs'), async (_, heard, ended) => {
      expect(await ended).toEqual({ kind: 'exit', code: 1 })
      expect(heard).toEqual([])
    })
  })
})

async function withChild(
  entry: string,
  body: (child: Child, heard: ChildMessage[], ended: Promise<Ending>) => Promise<void>,
): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'millrace-lifeline-'))
  const mapping = Mapping.create(join(folder, 'table'), PROCESS_TABLE_BYTES)
  ProcessTable.create(mapping.buffer)
  const heard: ChildMessage[] = []
  const birth = { role: 'worker', tablePath: mapping.path, tableIndex: 0, settings: { folder } } as const
  const child = spawnChild(
    { entry, birth, logPath: join(folder, 'log') },
    { onMessage: (message) => heard.push(message), onEnd: () => undefined },
  )
  try {
    await body(child, heard, child.ended)
  } finally {
    child.kill()
    await child.ended
    mapping.close()
    rmSync(folder, { recursive: true, force: true })
  }
}
