import { spawn } from 'node:child_process'
import { readdirSync, readFileSync } from 'node:fs'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { describe, expect, test } from 'vitest'

const ROOT = fileURLToPath(new URL('../..', import.meta.url))

/** Pids of the processes that this one has started, by what the kernel says. */
function childrenOf(parent: number): number[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name) && parentOf(Number(name)) === parent)
    .map(Number)
}

/** Undefined for a process that has ended. */
function parentOf(pid: number): number | undefined {
  try {
    const [, parent] = /^PPid:\t(\d+)$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8')) ?? []
    return parent === undefined ? undefined : Number(parent)
  } catch {
    return undefined
  }
}

function isThere(pid: number): boolean {
  try {
    return !/^State:\tZ/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'))
  } catch {
    return false
  }
}

/** A program that has another process measure, which takes hours over it without a break. */
const PARENT = `
  import { MeasuringProcess } from './dist/bench/harness/measuring-process.js'
  const process = new MeasuringProcess('harness/actor-speed', { kind: 'millrace', count: 10 })
  await process.order({ chains: 1, length: 1, what: 'tell' })
  console.log('it measures')
  await process.order({ chains: 1, length: 1e12, what: 'tell' })
`

/** Of the processor, in ticks. */
function takenBy(pid: number): number {
  return Number(readFileSync(`/proc/${pid}/stat`, 'utf8').split(' ')[13])
}

describe('a benchmark that is killed', () => {
  test('leaves none of its processes behind, also not one that spins', async () => {
    const bench = spawn(process.execPath, ['--input-type=module', '-e', PARENT], { cwd: ROOT, stdio: ['ignore', 'pipe', 'inherit'] })
    const ended = once(bench, 'exit')
    await once(bench.stdout, 'data')
    const [measuring = 0, ...others] = childrenOf(bench.pid as number)
    const before = takenBy(measuring)
    await expect.poll(() => takenBy(measuring)).toBeGreaterThan(before + 10)
    bench.kill('SIGKILL')
    await ended

    expect(others).toEqual([])
    await expect.poll(() => isThere(measuring)).toBe(false)
  })
})
