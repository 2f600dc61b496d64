import { type ChildProcess, spawn } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { callControl } from '#processes/control-client.js'
import type { PlantStatus } from '#recovery/plant-supervisor.js'
import { processStartTime, runtimeDirectoryOf } from '#shm/index.js'
import { eventually } from './plant-of-children.js'

const SUPERVISOR = fileURLToPath(new URL('./children/supervisor.mjs', import.meta.url))

/** A data directory, and supervisors as processes of their own on it. */
export class SupervisedDirectory {
  readonly data: string
  readonly folder: string
  readonly socket: string
  readonly #supervisors: ChildProcess[] = []
  readonly #seenPids = new Set<number>()

  constructor() {
    this.folder = mkdtempSync(join(tmpdir(), 'millrace-supervised-'))
    this.data = join(this.folder, 'data')
    this.socket = join(this.data, 'run', 'supervisor.sock')
  }

  /** Starts one and waits until its plant is ready, or until it ended; `output` is what it said until then. */
  async up(workers = 1): Promise<SupervisorProcess> {
    const child = spawn(process.execPath, [SUPERVISOR, this.data, this.folder, String(workers)], { stdio: ['ignore', 'pipe', 'pipe'] })
    this.#supervisors.push(child)
    const supervisor = new SupervisorProcess(child)
    await eventually('the supervisor is ready or says why it is not', () => supervisor.output.includes('ready\n') || supervisor.hasFailed)
    if (!supervisor.hasEnded) for (const { pid } of (await this.status()).processes) if (pid !== null) this.#seenPids.add(pid)
    return supervisor
  }

  async status(): Promise<PlantStatus> {
    return (await callControl(this.socket, 'status')) as PlantStatus
  }

  /** Pids of the children that the running supervisor has now. */
  async childPids(): Promise<number[]> {
    const { processes } = await this.status()
    const pids = processes.filter(({ role, pid }) => role !== 'supervisor' && pid !== null).map(({ pid }) => pid as number)
    for (const pid of pids) this.#seenPids.add(pid)
    return pids
  }

  recordText(): string {
    return readFileSync(join(this.data, 'run', 'processes.json'), 'utf8')
  }

  runtimeDirectory(): string {
    return runtimeDirectoryOf(this.data)
  }

  async end(): Promise<void> {
    for (const supervisor of this.#supervisors) supervisor.kill('SIGKILL')
    for (const pid of this.#seenPids)
      if (commandOf(pid).includes(this.folder) || commandOf(pid).includes('ordinary-child')) process.kill(pid, 'SIGKILL')
    await eventually('everybody is gone', () => [...this.#seenPids].every((pid) => processStartTime(pid) === undefined))
    rmSync(this.runtimeDirectory(), { recursive: true, force: true })
    rmSync(this.folder, { recursive: true, force: true })
  }
}

export class SupervisorProcess {
  readonly child: ChildProcess
  output = ''
  errors = ''

  constructor(child: ChildProcess) {
    this.child = child
    child.stdout?.on('data', (piece) => {
      this.output += piece
    })
    child.stderr?.on('data', (piece) => {
      this.errors += piece
    })
  }

  get pid(): number {
    return this.child.pid as number
  }

  get hasEnded(): boolean {
    return this.child.exitCode !== null || this.child.signalCode !== null
  }

  get hasFailed(): boolean {
    return this.hasEnded && this.errors !== ''
  }

  /** Sends the signal and waits for the end; its exit code, or the signal that ended it. */
  async endBy(signal: NodeJS.Signals): Promise<number | NodeJS.Signals | null> {
    this.child.kill(signal)
    return this.ended()
  }

  async ended(): Promise<number | NodeJS.Signals | null> {
    await eventually('the supervisor ends', () => this.hasEnded)
    return this.child.signalCode ?? this.child.exitCode
  }
}

function commandOf(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'latin1')
  } catch {
    return ''
  }
}
