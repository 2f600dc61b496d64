import { randomFillSync } from 'node:crypto'
import { closeSync, ftruncateSync, openSync, unlinkSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { freeBytes } from '#shm/index.js'

const MEGABYTE = 1 << 20
/** The ballast never takes more. */
export const BALLAST_BYTES_MAX = 256 * MEGABYTE
/** At first, so that there is as much to give as to take when others fill the disk or make room on it. */
const BALLAST_BYTES_FIRST = 160 * MEGABYTE
const BALLAST_BYTES_OFF = 64 * MEGABYTE
/** What the plant may write above its reserve while the disk is not to be full. */
const ROOM_BYTES = 24 * MEGABYTE
const ROOM_BYTES_OFF = 8 * MEGABYTE
/** Others may make room while the ballast grows. */
const FILL_TRIES = 5
/** A full disk lacks so much. */
const LACKING_BYTES = 2 * MEGABYTE
/** Below this the ballast itself would be most of what is free. */
const FREE_BYTES_MIN = 2 * BALLAST_BYTES_MAX
/** What the configuration takes as a reserve. */
const RESERVE_BYTES_MAX = 2 ** 50
const NAME = 'drill-ballast'

/**
 * Makes the disk of a plant full without filling it. The plant is started with a reserve a little below what is free, and a ballast file, bounded by
 * 256 MiB, grows and shrinks: what is free stays a little above the reserve, whatever others do to the disk, or below it while it is to be full. The file
 * has no name from the moment it is there, so that its room comes back however this process ends. Its bytes are random, since file systems that compress
 * would make nothing of zeros.
 */
export class DiskPressure {
  readonly #directory: string
  readonly #file: number
  readonly #piece = randomFillSync(Buffer.alloc(MEGABYTE))
  #reserveBytes = 0
  #ballastBytes = 0
  #wantedBytes = ROOM_BYTES

  /** In a directory that is there. Says why it cannot be done on its file system. */
  static open(directory: string): DiskPressure | string {
    const free = freeBytes(directory)
    if (free < FREE_BYTES_MIN) return `less than ${FREE_BYTES_MIN / MEGABYTE} MiB are free on the disk, and a drill must not fill it`
    if (free > RESERVE_BYTES_MAX) return 'more is free on the disk than journal.reserveBytes can be'
    return new DiskPressure(directory)
  }

  /** By `open` only. */
  private constructor(directory: string) {
    this.#directory = directory
    const path = join(directory, NAME)
    this.#file = openSync(path, 'w', 0o600)
    unlinkSync(path)
    this.#resize(BALLAST_BYTES_FIRST)
  }

  /** For a plant that is about to start: its `journal.reserveBytes` at what is free now. The ballast has room to grow and to shrink again. */
  newReserve(): number {
    if (Math.abs(this.#ballastBytes - BALLAST_BYTES_FIRST) > BALLAST_BYTES_OFF) this.#resize(BALLAST_BYTES_FIRST)
    this.#reserveBytes = Math.max(0, freeBytes(this.#directory) - ROOM_BYTES)
    return this.#reserveBytes
  }

  /** Others took more than the ballast could give back: only a plant that is started with a new reserve has room again. */
  get isExhausted(): boolean {
    return this.#wantedBytes > 0 && this.#ballastBytes === 0 && this.#roomBytes < LACKING_BYTES
  }

  /** Keeps up with what others do to the disk; to be called several times a second. */
  tend(): void {
    const offBytes = this.#roomBytes - this.#wantedBytes
    if (Math.abs(offBytes) > ROOM_BYTES_OFF || (this.#wantedBytes < 0 && offBytes > 0)) this.#resize(this.#ballastBytes + offBytes)
  }

  /** From now on there is less than the reserve. Says why it cannot be done; then there still is room. */
  fill(): string | undefined {
    this.#wantedBytes = -LACKING_BYTES
    for (let count = 0; count < FILL_TRIES; count++) {
      this.tend()
      if (this.#roomBytes < 0) return undefined
    }
    this.empty()
    return `others made more room on the disk than a ballast of ${BALLAST_BYTES_MAX / MEGABYTE} MiB can take`
  }

  empty(): void {
    this.#wantedBytes = ROOM_BYTES
    this.tend()
  }

  /** Gives all of it back. */
  close(): void {
    closeSync(this.#file)
  }

  /** Free above the reserve. */
  get #roomBytes(): number {
    return freeBytes(this.#directory) - this.#reserveBytes
  }

  #resize(bytes: number): void {
    const wanted = Math.max(0, Math.min(BALLAST_BYTES_MAX, Math.ceil(bytes / MEGABYTE) * MEGABYTE))
    for (; this.#ballastBytes < wanted; this.#ballastBytes += MEGABYTE) writeSync(this.#file, this.#piece, 0, MEGABYTE, this.#ballastBytes)
    if (this.#ballastBytes > wanted) ftruncateSync(this.#file, wanted)
    this.#ballastBytes = wanted
  }
}
