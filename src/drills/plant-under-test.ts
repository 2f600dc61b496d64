import type { EntityId } from '#base/ids.js'
import type { Settlement } from '#ingest/door.js'
import type { Row } from '#journal/journal.js'
import type { ChildRole, Seat } from '#processes/process-role.js'
import type { SupervisionEvent } from '#processes/supervision-event.js'
import type { Recovery, StateHashes } from '#recovery/report.js'
import type { LoggedCommand } from './ledger.js'
import type { Values } from './value-print.js'

/** The plant as a drill sees it: something to break, and something to look into afterwards. */
export interface PlantUnderTest {
  /** SIGKILLs the seat's holder through its supervisor, whose clock then begins at the kill; the pid. Rejects with ERR_SEAT_EMPTY when nobody holds it. */
  kill(seat: Seat<ChildRole>): Promise<number>
  /** SIGSTOPs the seat's holder. Rejects with ERR_SEAT_EMPTY. */
  stop(seat: Seat): Promise<StoppedProcess>
  /** SIGKILLs the supervisor, or every process at the same time, and starts the plant again as a service manager would; resolves when all of it works. */
  crash(what: 'supervisor' | 'everything'): Promise<Recovery>
  /** Sends a command that ends each worker that executes it; resolves with whether it is parked, once it is answered. */
  sendFatal(): Promise<boolean>
  /** Sends a command of no device, once however often it takes, and resolves with what it came to. */
  send(entity: EntityId, command: string, data: Values): Promise<Settlement>
  /** Adds a worker and removes it again, shards moving there and back; resolves with whether the plant did both. */
  rescale(): Promise<boolean>
  /** Changes the code of the plant for a later version of the same, or for one that fails; resolves with whether the plant runs it. */
  upgrade(isBroken: boolean): Promise<boolean>
  /** Takes the room on the disk and resolves when the plant says that it has none; says why it cannot be done here, and has done nothing then. */
  fillDisk(): Promise<string | undefined>
  /** Gives the room back. Safe to call again. */
  emptyDisk(): Promise<void>
  /**
   * Where others took the room on the disk that the plant was started with, so that it is full without anybody having asked for it: starts it again with what
   * is left, and answers true.
   */
  keepRoom(): Promise<boolean>
  /** Resolves when every seat works. */
  whenReady(): Promise<void>
  /** Tells what the supervisor says from now on, until the answer is called. */
  onEvent(listener: (event: SupervisionEvent) => void): () => void
  /** The rows of this run that end commands of devices, in global order. */
  log(): AsyncIterable<LoggedCommand>
  /** The rows of this run of entities that match a pattern such as `bell/*`, those of their outboxes among them, of each in order of version. */
  rows(pattern: string): AsyncIterable<LoggedRow>
  stateHashes(): Promise<StateHashes>
  size(): Promise<{ readonly rows: number; readonly bytes: number }>
}

export type LoggedRow = Pick<Row, 'entity' | 'version' | 'event' | 'data' | 'at' | 'accepted'>

export interface StoppedProcess {
  readonly pid: number
  /** SIGCONT, to the process that was stopped and no other. Safe to call again. */
  wake(): void
}
