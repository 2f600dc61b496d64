import { type ChildProcess, spawn } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { isMillraceError } from '#base/errors.js'
import type { PlantStatus } from '#recovery/plant-supervisor.js'
import { isSoak } from '../soak.js'
import { type PlantFolder } from './plant-folder.js'

const MAIN = fileURLToPath(new URL('../../dist/apps/cli/main.js', import.meta.url))
const DEADLINE_MS = isSoak ? 600_000 : 60_000
/** What is looked at costs the plant some work. */
const LOOK_EVERY_MS = 15

/** A compiled `millrace` at work, told apart from others by its folder. A plant that it starts has one worker, unless the environment asks for more. */
export class ProgramUnderTest {
  readonly #child: ChildProcess
  /** The exit code, or the signal's name. */
  readonly ended: Promise<number | string>
  stdout = ''
  stderr = ''
  #isOver = false

  constructor(words: readonly string[], options: { readonly cwd: string; readonly env?: Readonly<Record<string, string>> }) {
    const { NO_COLOR: _color, DEBUG: _debug, ...inherited } = process.env
    const env = { ...inherited, MILLRACE_HTTP__PORT: '0', MILLRACE_WORKERS__COUNT: '1', ...options.env }
    this.#child = spawn(process.execPath, [MAIN, ...words], { cwd: options.cwd, env, stdio: ['ignore', 'pipe', 'pipe'] })
    this.#child.stdout?.setEncoding('utf8').on('data', (piece: string) => (this.stdout += piece))
    this.#child.stderr?.setEncoding('utf8').on('data', (piece: string) => (this.stderr += piece))
    this.ended = new Promise((resolve, reject) => {
      this.#child.once('error', reject)
      this.#child.once('close', (code, signal) => {
        this.#isOver = true
        resolve(signal ?? code ?? 1)
      })
    })
  }

  get pid(): number {
    return this.#child.pid as number
  }

  get isOver(): boolean {
    return this.#isOver
  }

  kill(signal: NodeJS.Signals): void {
    this.#child.kill(signal)
  }

  /** The values printed so far, a line of JSON each. */
  get json(): unknown[] {
    return this.stdout
      .trimEnd()
      .split('\n')
      .filter((line) => line !== '')
      .map((line) => JSON.parse(line) as unknown)
  }
}

/** For a plant whose workers share the work. */
export const TWO_WORKERS = { MILLRACE_WORKERS__COUNT: '2' }

/** What `up --json` says when the plant is ready. */
export interface ReadyLine {
  readonly ready: true
  readonly readyMs: number
  readonly data: string
  readonly http: string
  readonly processes: PlantStatus['processes']
}

/** `millrace up` in a folder, once it is ready; without spares, unless the environment asks for them. Rejects with what it said when it ends before that. */
export async function startPlant(
  folder: PlantFolder,
  options: { readonly env?: Readonly<Record<string, string>>; readonly words?: readonly string[] } = {},
): Promise<{ readonly up: ProgramUnderTest; readonly ready: ReadyLine }> {
  const words = ['up', folder.plantFile, '--data', folder.data, '--json', ...(options.words ?? [])]
  const up = new ProgramUnderTest(words, { cwd: folder.path, env: { MILLRACE_PROCESSES__SPARES: '0', ...options.env } })
  await until('the plant is ready', () => up.stdout.includes('\n') || up.isOver)
  const [said] = up.json as (Partial<ReadyLine> | undefined)[]
  if (said?.ready !== true) throw new Error(`the plant did not start: ${up.stdout} ${up.stderr}`)
  return { up, ready: said as ReadyLine }
}

export interface Said {
  readonly code: number | string
  readonly stdout: string
  readonly stderr: string
  /** The first line of JSON on stdout. */
  readonly json: Readonly<Record<string, unknown>>
  readonly lines: readonly Readonly<Record<string, unknown>>[]
}

/** Runs a command of the line to its end; `--data` of the folder comes by itself, for commands that take it. */
export async function run(folder: PlantFolder, words: readonly string[], env: Readonly<Record<string, string>> = {}): Promise<Said> {
  const program = new ProgramUnderTest([...words, '--data', folder.data], { cwd: folder.path, env })
  const code = await program.ended
  const lines = (words.includes('--json') ? program.json : []) as Readonly<Record<string, unknown>>[]
  return { code, stdout: program.stdout, stderr: program.stderr, json: lines[0] ?? {}, lines }
}

/** Looks until the condition holds; an environment that says "not now" is looked at again. Rejects with the claim after the deadline. */
export async function until(claim: string, condition: () => boolean | Promise<boolean>, withinMs = DEADLINE_MS): Promise<void> {
  const deadline = performance.now() + withinMs
  for (;;) {
    try {
      if (await condition()) return
    } catch (error) {
      if (!isMillraceError(error)) throw error
    }
    if (performance.now() > deadline) throw new Error(`not within ${withinMs} ms: ${claim}`)
    await new Promise((resolve) => setTimeout(resolve, LOOK_EVERY_MS))
  }
}
