import { readdirSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { isMillraceError, MillraceError, messageOf } from '#base/errors.js'
import { type ChannelStat, channelStat, type ChannelRole, PARKED } from '#bus/index.js'
import { Heartbeat } from '#processes/heartbeat.js'
import { type ChildRole, type Seat, seatName } from '#processes/process-role.js'
import { type ProcessRow, ProcessTable } from '#processes/process-table.js'
import { PROCESS_TABLE_NAME } from '#recovery/plant-supervisor.js'
import { findRuntimeDirectory, isAlive, Mapping } from '#shm/index.js'
import { seatsOf } from './channel-plan.js'

/** Where channels are: those of the plant on a data directory, or those that `openChannel` made in a directory. */
export type BusPlace = { readonly dataDirectory: string } | { readonly directory: string }

const RING_SUFFIX = '.ring'

/** A look at every channel, from outside. */
export interface BusLook {
  /** On the monotonic clock of this process. */
  readonly atMs: number
  readonly channels: readonly ChannelLook[]
}

export interface ChannelLook {
  readonly name: string
  /** Undefined when it cannot be read: `trouble` says why. */
  readonly stat: ChannelStat | undefined
  readonly trouble: string | undefined
  readonly producer: EndLook
  readonly consumer: EndLook
}

/** The process at an end. */
export interface EndLook {
  /** `worker/1`; undefined outside of a plant. */
  readonly process: string | undefined
  readonly isAlive: boolean
  /** Since its pulse was seen to move; undefined outside of a plant and when nobody is there. */
  readonly pulseAgeMs: number | undefined
  readonly isParked: boolean
  readonly parks: number
  readonly wokenByRing: number
  readonly wokenByTime: number
  /** Of all parks that have ended. */
  readonly parkedMs: number
}

/**
 * Looks at the channels of a plant that runs, or of one whose supervisor or all of whose processes are dead, without touching anything: memory is
 * mapped for reading only and no process is asked.
 */
export class BusView {
  readonly directory: string
  readonly #mapped = new Map<string, { readonly file: string; readonly mapping: Mapping }>()
  readonly #pulses = new Map<number, Heartbeat>()

  /** Throws ERR_NO_PLANT or ERR_NO_CHANNELS, and ERR_RUNTIME_DIRECTORY for one that is not this user's alone. */
  static open(place: BusPlace): BusView {
    const view = new BusView(busDirectory(place))
    view.observe()
    return view
  }

  private constructor(directory: string) {
    this.directory = directory
  }

  /** Looks at the pulses only: their age is known to within the time between two calls. */
  observe(): readonly ProcessRow[] {
    const nowMs = performance.now()
    const rows = this.#rows()
    const living = new Set(rows.map(({ pid }) => pid))
    for (const pid of this.#pulses.keys()) if (!living.has(pid)) this.#pulses.delete(pid)
    for (const { pid, pulse, turn } of rows) {
      const known = this.#pulses.get(pid)
      if (known === undefined) this.#pulses.set(pid, new Heartbeat(nowMs, pulse, turn))
      else known.observe(nowMs, pulse, turn)
    }
    return rows
  }

  look(): BusLook {
    const rows = this.observe()
    const names = ringsIn(this.directory)
    for (const path of this.#mapped.keys()) {
      if (path !== PROCESS_TABLE_NAME && !names.includes(path.slice(0, -RING_SUFFIX.length))) this.#unmap(path)
    }
    return { atMs: performance.now(), channels: names.map((name) => this.#lookAt(name, rows)) }
  }

  close(): void {
    for (const path of [...this.#mapped.keys()]) this.#unmap(path)
  }

  #lookAt(name: string, rows: readonly ProcessRow[]): ChannelLook {
    let stat: ChannelStat | undefined
    let trouble: string | undefined
    try {
      const buffer = this.#map(`${name}${RING_SUFFIX}`)
      if (buffer === undefined) trouble = 'it is gone'
      else stat = channelStat(buffer)
    } catch (error) {
      if (!isMillraceError(error)) throw error
      trouble = messageOf(error)
    }
    const end = (role: ChannelRole) => this.#endLook(seatsOf(name)?.[role], stat, role, rows)
    return { name, stat, trouble, producer: end('producer'), consumer: end('consumer') }
  }

  /** In a plant a process waits for all of its channels at once, and its seat counts that; a channel that stands alone counts for itself. */
  #endLook(seat: Seat<ChildRole> | undefined, stat: ChannelStat | undefined, role: ChannelRole, rows: readonly ProcessRow[]): EndLook {
    const row = seat === undefined ? undefined : rows.find((one) => one.role === seat.role && one.slot === seat.slot)
    const table = seat === undefined ? undefined : this.#table()
    if (seat === undefined || table === undefined) {
      const { pid = 0, startTime = 0, waiting } = stat?.[role] ?? {}
      const { isParked = false, parks = 0, wokenByRing = 0, wokenByTime = 0, parkedMs = 0 } = waiting ?? {}
      const isHeld = pid > 0 && isAlive({ pid, startTime })
      return { process: undefined, isAlive: isHeld, pulseAgeMs: undefined, isParked, parks, wokenByRing, wokenByTime, parkedMs }
    }
    const { words, index } = table.parkedWord(seat)
    const { parks, wokenByRing, wokenByTime, parkedMs } = table.counters<ChildRole>(seat).read()
    return {
      process: seatName(seat),
      isAlive: row !== undefined && row.pid > 0 && isAlive(row),
      pulseAgeMs: row === undefined ? undefined : this.#pulses.get(row.pid)?.pulseAgeMs(performance.now()),
      isParked: Atomics.load(words, index) === PARKED,
      parks,
      wokenByRing,
      wokenByTime,
      parkedMs,
    }
  }

  #rows(): readonly ProcessRow[] {
    return this.#table()?.snapshot() ?? []
  }

  /** Undefined where there is no plant. */
  #table(): ProcessTable | undefined {
    const buffer = this.#map(PROCESS_TABLE_NAME)
    return buffer === undefined ? undefined : ProcessTable.open(buffer)
  }

  /** The memory of a file of the directory as it is there now, or undefined when it is not. */
  #map(name: string): ArrayBuffer | undefined {
    const path = join(this.directory, name)
    const stats = statSync(path, { throwIfNoEntry: false })
    const file = stats === undefined ? '' : `${stats.dev}/${stats.ino}`
    const known = this.#mapped.get(name)
    if (known !== undefined && known.file === file) return known.mapping.buffer
    if (known !== undefined) this.#unmap(name)
    // A file of length 0 is being made.
    if (stats === undefined || stats.size === 0) return undefined
    try {
      const mapping = Mapping.open(path, { access: 'read' })
      this.#mapped.set(name, { file, mapping })
      return mapping.buffer
    } catch (error) {
      if (isMillraceError(error, 'ERR_SHM_MISSING')) return undefined
      throw error
    }
  }

  #unmap(name: string): void {
    this.#mapped.get(name)?.mapping.close()
    this.#mapped.delete(name)
  }
}

/** Names of the channels in a directory, in order. */
export function ringsIn(directory: string): string[] {
  let names: string[]
  try {
    names = readdirSync(directory)
  } catch (error) {
    if ((error as { code?: string }).code === 'ENOENT') return []
    throw notReadable(directory, error)
  }
  return names
    .filter((name) => name.endsWith(RING_SUFFIX))
    .map((name) => name.slice(0, -RING_SUFFIX.length))
    .sort(byName)
}

/** Where the channels of a place are. Throws as `BusView.open` does. */
export function busDirectory(place: BusPlace): string {
  if ('directory' in place) {
    if (ringsIn(place.directory).length > 0) return place.directory
    throw new MillraceError('ERR_NO_CHANNELS', {
      fact: 'there is no channel in this directory',
      action: 'operator',
      values: { directory: place.directory },
      next: 'name the directory that openChannel was given, or a plant with --data',
    })
  }
  const directory = runtimeDirectory(place.dataDirectory)
  if (directory !== undefined && ringsIn(directory).length > 0) return directory
  throw new MillraceError('ERR_NO_PLANT', {
    fact: 'no plant of this user runs on this data directory',
    action: 'operator',
    values: { data: place.dataDirectory },
    next: 'start it with `millrace up`, name another directory with --data, or run this as the user that started it',
  })
}

function runtimeDirectory(dataDirectory: string): string | undefined {
  try {
    return findRuntimeDirectory(dataDirectory)
  } catch (error) {
    if (isMillraceError(error, 'ERR_SHM_MISSING')) return undefined
    throw error
  }
}

function notReadable(directory: string, cause: unknown): MillraceError {
  return new MillraceError('ERR_NO_CHANNELS', {
    fact: 'the directory of the channels cannot be read',
    action: 'operator',
    values: { directory, cause: (cause as { code?: string }).code },
    next: 'run this as the user that made it',
    cause,
  })
}

/** Numbers in names by their value: w2 before w10. */
function byName(a: string, b: string): number {
  return a.localeCompare(b, 'en', { numeric: true })
}
