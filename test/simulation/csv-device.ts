import type { Door, DoorLine } from '#ingest/door.js'
import { SettledPrefix } from '#ingest/settled-prefix.js'
import { Device } from './device.js'
import type { SentCommand } from './ledger.js'

const OPEN_MAX = 32

/** One run over the file, from a checkpoint on. */
interface Run {
  readonly door: Door
  readonly prefix: SettledPrefix<SentCommand>
  /** By entity and command. */
  readonly lines: Map<string, DoorLine>
  /** Index of the next row. */
  next: number
  isWaiting: boolean
}

/**
 * A file that grows, read by a gateway: rows are acknowledged by the release alone, and the checkpoint is the last row of the settled prefix. Its run begins again
 * behind the checkpoint.
 */
export class CsvDevice extends Device {
  #run: Run | undefined
  /** Rows of the file that are done with for good. */
  #checkpoint = 0

  pump(): void {
    this.world.plant.atGateway(this.gateway, ({ door }) => {
      this.#run ??= { door, prefix: new SettledPrefix(0, 0), lines: new Map(), next: this.#checkpoint, isWaiting: false }
      this.#offer(this.#run)
    })
    this.#save()
  }

  connect(gateway: number): void {
    this.gateway = gateway
    this.#run = undefined
    this.pump()
  }

  #offer(run: Run): void {
    if (run !== this.#run || run.isWaiting) return
    while (run.next < this.sent.length && run.prefix.openCount < OPEN_MAX) {
      const row = this.sent[run.next] as SentCommand
      let settle: ((end: 'accepted') => void) | undefined
      const offered = this.#lineOf(run, row).offer(row.sequence, { id: row.id }, Number.NaN, () => settle?.('accepted'), 0)
      if (offered === 'full') {
        run.isWaiting = true
        run.door.onRoom(() => {
          run.isWaiting = false
          this.#offer(run)
        })
        return
      }
      if (offered !== 'accepted') throw new Error(offered.rejected)
      settle = run.prefix.add(row)
      run.next++
    }
  }

  /** A row of the checkpoint is never sent again. */
  #save(): void {
    const last = this.#run?.prefix.last
    while (last !== undefined && this.#checkpoint < last.sequence)
      this.told(this.sent[this.#checkpoint++] as SentCommand, { kind: 'acknowledged' })
  }

  #lineOf(run: Run, { entity, command }: SentCommand): DoorLine {
    const known = run.lines.get(`${command} ${entity}`)
    if (known !== undefined) return known
    const line = run.door.line?.(entity, this.source, command)
    if (line === undefined || typeof line === 'string') throw new Error(line ?? 'the door has no lines')
    run.lines.set(`${command} ${entity}`, line)
    return line
  }
}
