import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, onTestFinished, test } from 'vitest'
import { ParkedCommands, retrySource } from '#runtime/parked-commands.js'

function parkedIn(): { readonly parked: ParkedCommands; readonly data: string } {
  const data = mkdtempSync(join(tmpdir(), 'millrace-parked-'))
  onTestFinished(() => rmSync(data, { recursive: true, force: true }))
  return { parked: new ParkedCommands(data), data }
}

const COMMAND = {
  parkedAt: 5,
  entity: 'press/a',
  command: 'sample',
  data: { temperature: 1 },
  packed: '',
  source: 'plc',
  sequence: 7,
  at: undefined,
  worker: 0,
  causes: ['SIGSEGV'],
}

describe('parked commands', () => {
  test('are listed oldest first, and read back as they were', () => {
    const { parked } = parkedIn()
    const second = parked.add({ ...COMMAND, sequence: 8, parkedAt: 9 })
    const first = parked.add(COMMAND)

    expect(parked.list()).toEqual([first, second])
    expect(parked.get(first.id)).toEqual(first)
  })

  test('are one when they are of the same source and sequence, and two without a source', () => {
    const { parked } = parkedIn()
    parked.add(COMMAND)
    parked.add({ ...COMMAND, parkedAt: 6 })
    parked.add({ ...COMMAND, source: '', parkedAt: 7 })
    parked.add({ ...COMMAND, source: '', parkedAt: 8 })

    expect(parked.list().map(({ parkedAt }) => parkedAt)).toEqual([6, 7, 8])
  })

  test('are gone when they are removed, and not there twice', () => {
    const { parked } = parkedIn()
    const { id } = parked.add(COMMAND)
    parked.remove(id)

    expect(parked.list()).toEqual([])
    expect(() => parked.remove(id)).toThrow(/no command is parked under that id .*millrace status --parked/)
    expect(() => parked.get('../../etc/passwd')).toThrow(/no command is parked/)
  })

  test('are sent under the next sequence when they failed once more', () => {
    const { parked } = parkedIn()
    const one = parked.add(COMMAND)

    parked.failed(one.id)

    expect([one.retry, parked.get(one.id).retry]).toEqual([1, 2])
  })

  test('stay one when they end their workers again when tried again, and remember how often that was', () => {
    const { parked } = parkedIn()
    const { id } = parked.add(COMMAND)

    parked.add({ ...COMMAND, source: retrySource(id), sequence: 1, causes: ['SIGKILL'] })
    parked.failed(id)
    parked.add(COMMAND)

    expect(parked.list()).toMatchObject([{ id, source: 'plc', sequence: 7, retry: 2, causes: ['SIGSEGV'] }])
    parked.add({ ...COMMAND, source: retrySource(id), sequence: 2, causes: ['SIGKILL'] })
    expect(parked.get(id).causes).toEqual(['SIGSEGV', 'SIGKILL'])
  })

  test('do not take the place of another one that is to have the same id, nor of one that cannot be read', () => {
    const { parked, data } = parkedIn()
    const { id } = parked.add(COMMAND)
    const path = join(data, 'parked', `${id}.json`)
    writeFileSync(path, JSON.stringify({ ...COMMAND, id, sequence: 99 }))
    const beside = parked.add(COMMAND)
    writeFileSync(path, 'torn')
    const besideTorn = parked.add({ ...COMMAND, parkedAt: 6 })

    expect(beside.id).not.toBe(id)
    expect(besideTorn.id).toBe(beside.id)
    expect(parked.list()).toMatchObject([{ id: beside.id, parkedAt: 6 }])
    expect(parked.unreadable()).toEqual([path])
  })

  test('do not mind files of others beside them', () => {
    const { parked, data } = parkedIn()
    const one = parked.add(COMMAND)
    writeFileSync(join(data, 'parked', 'notes.json'), 'mine')

    expect(parked.list()).toEqual([one])
  })
})
