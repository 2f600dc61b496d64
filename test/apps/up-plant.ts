import { type ChildProcess, spawn } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import type { Row } from '#journal/index.js'
import { callControl } from '#processes/control-client.js'
import type { Role } from '#processes/process-role.js'
import type { PlantStatus } from '#recovery/plant-supervisor.js'
import { dataPaths } from '#runtime/data-directory.js'
import { readGatewayDoors } from '#runtime/gateway-doors.js'
import { packageRoot } from '#runtime/package-root.js'
import { WITHOUT_SPARES } from '#runtime/plant-session.js'
import { type Exposition, parseExposition } from '../runtime/exposition.js'
import { storedRows } from './stored-rows.js'

const MAIN = join(packageRoot(), 'dist', 'apps', 'cli', 'main.js')

/** A plant of presses as a user would write it over the compiled package. */
export function writePlant(directory: string): string {
  const entry = pathToFileURL(join(packageRoot(), 'dist', 'src', 'index.js')).href
  const file = join(directory, 'plant.mjs')
  writeFileSync(
    file,
    `import { defineEntity, definePlant, f64, i64, text } from '${entry}'

const Press = defineEntity({
  name: 'press',
  events: { Sampled: { number: i64(), temperature: f64('°C') } },
  commands: { sample: { number: i64(), temperature: f64('°C') }, note: { text: text() }, stumble: {} },
  initial: () => ({ count: 0 }),
  decide: {
    sample(state, command, { emit, refuse }) {
      if (command.temperature > 1000) return refuse('MELTED', { count: state.count })
      emit.Sampled(command)
      return { count: state.count + 1 }
    },
    note: () => undefined,
    stumble() {
      throw new Error('over its feet')
    },
  },
  apply: { Sampled: (state) => void state.count++ },
})

export default definePlant({ entities: [Press] })
`,
  )
  return file
}

export interface UpOptions {
  readonly env?: Readonly<Record<string, string>>
  readonly plantFile?: string
  readonly isJson?: boolean
}

/** A plant that `millrace up` runs in a directory of its own, without spares and HTTP on a free port unless told otherwise. */
export class UpPlant {
  readonly directory: string
  readonly data: string
  readonly ended: Promise<number | string>
  stdout = ''
  stderr = ''
  readonly #child: ChildProcess

  constructor(options: UpOptions = {}) {
    this.directory = mkdtempSync(join(tmpdir(), 'millrace-up-'))
    this.data = join(this.directory, 'data')
    const plantFile = options.plantFile ?? writePlant(this.directory)
    const { NO_COLOR: _color, DEBUG: _debug, ...inherited } = process.env
    const args = [MAIN, 'up', plantFile, '--data', this.data, ...(options.isJson === true ? ['--json'] : [])]
    this.#child = spawn(process.execPath, args, { env: { ...inherited, ...WITHOUT_SPARES, MILLRACE_HTTP__PORT: '0', ...options.env } })
    this.#child.stdout?.on('data', (piece: Buffer) => (this.stdout += piece.toString()))
    this.#child.stderr?.on('data', (piece: Buffer) => (this.stderr += piece.toString()))
    this.ended = new Promise((resolve) => this.#child.once('close', (code, signal) => resolve(signal ?? code ?? 1)))
  }

  /** Resolves when every seat works for the first time; rejects when the program ends before. */
  async ready(): Promise<this> {
    const ended = this.ended.then((how) => {
      throw new Error(`up ended with ${how}: ${this.stderr}`)
    })
    const isReady = async () => {
      while (!this.stdout.includes('ready')) await pause()
    }
    await Promise.race([isReady(), ended])
    return this
  }

  get url(): string {
    return readGatewayDoors(this.data)?.http ?? 'http://nowhere.invalid'
  }

  status(): Promise<PlantStatus> {
    return this.#ask('status') as Promise<PlantStatus>
  }

  async pidOf(role: Role, slot = 0): Promise<number> {
    const found = (await this.status()).processes.find((one) => one.role === role && one.slot === slot)
    if (found?.pid === undefined || found.pid === null) throw new Error(`nobody holds ${role}/${slot}`)
    return found.pid
  }

  /** SIGKILLs the seat's holder. */
  async kill(role: Role, slot = 0): Promise<void> {
    await this.#ask('kill', { role, slot })
  }

  /** SIGKILLs the seat's holder and resolves when it is replaced and the plant works again. */
  async killAndReplace(role: Role, slot = 0): Promise<void> {
    const before = (await this.status()).recoveryCount
    await this.kill(role, slot)
    for (;;) {
      const { recoveryCount, ready } = await this.status()
      if (recoveryCount > before && ready) return
      await pause()
    }
  }

  signal(signal: NodeJS.Signals): void {
    this.#child.kill(signal)
  }

  async metrics(): Promise<Exposition> {
    return parseExposition(await (await fetch(`${this.url}/metrics`)).text())
  }

  /** All rows, of plants that run and of those that have stopped. */
  rows(): Promise<Row[]> {
    return storedRows(this.data)
  }

  /** Stops the plant, by force when it does not, and removes the directory. */
  async remove(): Promise<void> {
    this.#child.kill('SIGTERM')
    const timer = setTimeout(() => this.#child.kill('SIGKILL'), 60_000)
    await this.ended
    clearTimeout(timer)
    rmSync(this.directory, { recursive: true, force: true })
  }

  #ask(name: string, args: unknown = {}, timeoutMs?: number): Promise<unknown> {
    return callControl(dataPaths(this.data).supervisorSocket, name, args, timeoutMs)
  }
}

/** Between two looks at a plant, which cost it some work each. */
export function pause(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, 10))
}
