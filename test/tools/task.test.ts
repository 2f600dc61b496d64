import { spawn } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { describe, expect, test } from 'vitest'

const ROOT = fileURLToPath(new URL('../..', import.meta.url))

describe('the task runner called wrongly', () => {
  test.each([
    [[], 'usage: node .ci/task.mjs demo|test|build|'],
    [['biuld'], 'usage: node .ci/task.mjs demo|test|build|'],
    [['bench'], 'which bench? There are: '],
    [['bench', 'none'], 'no bench is called none. There are: '],
    [['soak'], 'which soak? There are: '],
    [['soak', 'pack', '--times', 'many'], 'cannot use --times many: say npm run soak -- pack [--times N] [--seed S]'],
    [['example', 'none'], 'no example is called none. There are: '],
    [['lint', 'none'], 'no check is called none: choose from format lint types dead native'],
  ])('ends with 2 and says what there is: %j', async (args, message) => {
    const { code, stdout, stderr } = await runTask(args)

    expect({ code, stdout }).toEqual({ code: 2, stdout: '' })
    expect(stderr).toContain(message)
  })
})

function runTask(args: readonly string[]): Promise<{ code: number | null; stdout: string; stderr: string }> {
  const child = spawn(process.execPath, ['.ci/task.mjs', ...args], { cwd: ROOT })
  let stdout = ''
  let stderr = ''
  child.stdout.on('data', (chunk: Buffer) => (stdout += chunk.toString()))
  child.stderr.on('data', (chunk: Buffer) => (stderr += chunk.toString()))
  return new Promise((resolve) => child.once('close', (code) => resolve({ code, stdout, stderr })))
}
