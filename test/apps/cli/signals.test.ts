import { spawn } from 'node:child_process'
import { describe, expect, test } from 'vitest'

const SIGNALS = new URL('../../../dist/apps/cli/signals.js', import.meta.url).href

describe('a command that is broken off', () => {
  test('ends with 130', async () => {
    expect(await interruptOnce('')).toEqual({ code: 130, text: 'ready\n' })
  })

  test('may finish what it does, and then answers for itself', async () => {
    const ownEnd = "signals.onInterrupt(() => { console.log('closed'); process.exitCode = signals.INTERRUPTED; clearInterval(work) })"

    expect(await interruptOnce(ownEnd)).toEqual({ code: 130, text: 'ready\nclosed\n' })
  })

  test('ends at once when it is broken off again', async () => {
    expect(await interruptOnce("signals.onInterrupt(() => process.kill(process.pid, 'SIGINT'))")).toEqual({ code: 130, text: 'ready\n' })
  })
})

async function interruptOnce(script: string): Promise<{ code: number | null; text: string }> {
  const program = `const signals = await import(${JSON.stringify(SIGNALS)}); signals.endOnInterrupt(); const work = setInterval(() => {}); ${script}; console.log('ready')`
  const child = spawn(process.execPath, ['--input-type=module', '-e', program])
  let text = ''
  child.stdout.on('data', (chunk: Buffer) => {
    if (text === '') child.kill('SIGINT')
    text += chunk.toString()
  })
  const code = await new Promise<number | null>((resolve) => child.once('close', resolve))
  return { code, text }
}
