import { spawn } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { vi } from 'vitest'
import { COMMANDS, GROUPS } from '../../../apps/cli/commands.js'
import { runProgram } from '../../../apps/cli/program.js'

const MAIN = fileURLToPath(new URL('../../../dist/apps/cli/main.js', import.meta.url))

export interface CliResult {
  /** 128 + n after a signal, as a shell has it. */
  readonly code: number
  readonly stdout: string
  readonly stderr: string
}

export interface CliOptions {
  readonly cwd?: string
  readonly env?: Readonly<Record<string, string>>
}

/** Runs the compiled command line in a process of its own, without the variables of this one that would change what it prints. */
export function runCli(args: readonly string[], options: CliOptions = {}): Promise<CliResult> {
  const { NO_COLOR: _color, DEBUG: _debug, ...inherited } = process.env
  const child = spawn(process.execPath, [MAIN, ...args], { ...options, env: { ...inherited, ...options.env } })
  let stdout = ''
  let stderr = ''
  child.stdout.on('data', (chunk: Buffer) => (stdout += chunk.toString()))
  child.stderr.on('data', (chunk: Buffer) => (stderr += chunk.toString()))
  return new Promise((resolve, reject) => {
    child.once('error', reject)
    child.once('close', (code, signal) => resolve({ code: code ?? (signal === 'SIGINT' ? 130 : 143), stdout, stderr }))
  })
}

/** Runs the command line in this process, which is no terminal: for what is said before a command begins its work. One at a time. */
export async function runCliHere(words: readonly string[], env: Readonly<Record<string, string>> = {}): Promise<CliResult> {
  const said = { stdout: '', stderr: '' }
  const spies = (['stdout', 'stderr'] as const).map((name) =>
    vi.spyOn(process[name], 'write').mockImplementation((piece) => {
      said[name] += typeof piece === 'string' ? piece : Buffer.from(piece).toString()
      return true
    }),
  )
  try {
    const { NO_COLOR: _color, DEBUG: _debug, ...inherited } = process.env
    const code = await runProgram(words, { commands: COMMANDS, groups: GROUPS, env: { ...inherited, ...env } })
    return { code, ...said }
  } finally {
    for (const spy of spies) spy.mockRestore()
  }
}
