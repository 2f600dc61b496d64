import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { systemClock } from '#base/clock.js'
import { Prng } from '#base/prng.js'
import { PROCESS_TABLE_BYTES, ProcessTable } from '#processes/process-table.js'
import type { ChildRole } from '#processes/process-role.js'
import { Supervision } from '#processes/supervision.js'
import type { LivingProcess, PlantCommands, SupervisionLimits } from '#processes/supervision-options.js'
import { SUPERVISION_LIMITS } from '#processes/supervision-options.js'
import type { SupervisionEvent } from '#processes/supervision-event.js'
import { TermCounter } from '#processes/term-counter.js'
import { decide } from '#recovery/decision.js'
import { isAlive, Mapping, processStartTime } from '#shm/index.js'

const CHILD = fileURLToPath(new URL('./children/ordinary-child.mjs', import.meta.url))
const COMPILED = fileURLToPath(new URL('../../dist/src/processes/lifeline.js', import.meta.url))
const DEADLINE_MS = 60_000
/** Nobody is taken for hanging because the machine is busy: a test that wants a limit to be crossed says which. */
const PATIENT = { pulseLimitMs: 20_000, turnLimitMs: 60_000, loadLimitMs: 60_000, stopWithinMs: 60_000 }

export type EventOf<K extends SupervisionEvent['kind']> = Extract<SupervisionEvent, { kind: K }>

export interface PlantShape {
  readonly journalSpares?: number
  readonly workers?: number
  readonly workerSpares?: number
  readonly gateways?: number
  readonly limits?: Partial<SupervisionLimits>
  readonly hasRoom?: () => boolean
  readonly commands?: PlantCommands
}

/** A supervision in this process over real children, with all that it said and did. */
export class PlantOfChildren {
  readonly folder: string
  readonly events: SupervisionEvent[] = []
  readonly recorded: (readonly LivingProcess[])[] = []
  readonly supervision: Supervision
  readonly table: ProcessTable
  readonly #spareCount: number

  constructor(shape: PlantShape = {}) {
    this.#spareCount = (shape.journalSpares ?? 0) + (shape.workerSpares ?? 1)
    if (!existsSync(COMPILED)) throw new Error('the children need compiled code: run `npm run build` first')
    this.folder = mkdtempSync(join(tmpdir(), 'millrace-children-'))
    const mapping = Mapping.create(join(this.folder, 'table'), PROCESS_TABLE_BYTES)
    this.table = ProcessTable.create(mapping.buffer)
    const role = (count: number, spares: number) => ({ entry: CHILD, count, spares, settings: { folder: this.folder } })
    this.supervision = new Supervision({
      roles: {
        journal: role(1, shape.journalSpares ?? 0),
        worker: role(shape.workers ?? 1, shape.workerSpares ?? 1),
        gateway: role(shape.gateways ?? 1, 0),
      },
      limits: { ...SUPERVISION_LIMITS, ...PATIENT, tickMs: 20, ...shape.limits },
      table: this.table,
      tablePath: mapping.path,
      terms: TermCounter.openSync(this.folder, true),
      decide,
      assign: (seat, term) => ({ greeting: `${seat.role}/${seat.slot} under ${term}` }),
      record: (processes) => this.recorded.push(processes),
      startTimeOf: processStartTime,
      onEvent: (event) => this.events.push(event),
      hasRoom: shape.hasRoom,
      commands: shape.commands,
      logDirectory: this.folder,
      clock: systemClock,
      prng: new Prng(1),
    })
  }

  /** Starts and waits until every seat works and every spare stands by. */
  async start(): Promise<void> {
    this.supervision.start()
    await this.isSettled()
  }

  isSettled(): Promise<void> {
    return eventually('every seat ready and every spare in standby', () => {
      const processes = this.supervision.processes()
      return (
        this.supervision.isReady &&
        processes.every(({ slot, state }) => state === (slot === null ? 'standby' : 'ready')) &&
        processes.filter(({ slot }) => slot === null).length === this.#spareCount
      )
    })
  }

  /** Waits for the event that fits, counted from `from` on. */
  async event<K extends SupervisionEvent['kind']>(
    kind: K,
    fits: (event: EventOf<K>) => boolean = () => true,
    from = 0,
  ): Promise<EventOf<K>> {
    let found: EventOf<K> | undefined
    await eventually(`a fitting event ${kind}`, () => {
      found = this.eventsOf(kind, from).find(fits)
      return found !== undefined
    })
    return found as EventOf<K>
  }

  eventsOf<K extends SupervisionEvent['kind']>(kind: K, from = 0): EventOf<K>[] {
    return this.events.slice(from).filter((event): event is EventOf<K> => event.kind === kind)
  }

  pidOf(role: ChildRole, slot: number | null): number {
    const pid = this.supervision.processes().find((process) => process.role === role && process.slot === slot)?.pid
    if (pid === undefined || pid === null) throw new Error(`nobody is ${role}/${slot}`)
    return pid
  }

  /** `content`: what the fault is about. */
  setFault(role: ChildRole, fault: string, isOn: boolean, content: unknown = ''): void {
    const path = join(this.folder, `${role}-${fault}`)
    if (isOn) writeFileSync(path, JSON.stringify(content))
    else rmSync(path, { force: true })
  }

  /** What the children noted down, in order. */
  ledger(): string[] {
    const path = join(this.folder, 'ledger')
    return existsSync(path) ? readFileSync(path, 'utf8').trimEnd().split('\n') : []
  }

  /** Ends everything, whatever state it is in, and proves that nobody is left. */
  async end(): Promise<void> {
    await this.supervision.forceStop()
    const left = this.recorded.flat().filter(isAlive)
    rmSync(this.folder, { recursive: true, force: true })
    if (left.length > 0) throw new Error(`left behind: ${JSON.stringify(left)}`)
  }
}

/** Looks until the condition holds; fails with its name after a minute. */
export async function eventually(what: string, condition: () => boolean | Promise<boolean>): Promise<void> {
  const deadline = performance.now() + DEADLINE_MS
  while (!(await condition())) {
    if (performance.now() > deadline) throw new Error(`did not come about: ${what}`)
    await new Promise((resolve) => setTimeout(resolve, 5))
  }
}

export function isPidAlive(pid: number): boolean {
  return processStartTime(pid) !== undefined
}
