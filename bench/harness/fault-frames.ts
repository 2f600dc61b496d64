/**
 * Frames of a channel under fault: everything in one follows from its id and the seed, so that whoever gets it can tell whether it is whole.
 * The id comes first, in the byte order of the machine as little-endian.
 */
export class FaultFrames {
  readonly #seed: number
  readonly #lengthMax: number

  /** `lengthMax` is what a claim of the channel may have, at least 4. */
  constructor(seed: number, lengthMax: number) {
    this.#seed = seed
    this.#lengthMax = lengthMax
  }

  lengthOf(id: number): number {
    const hash = mixed(id ^ this.#seed)
    // Mostly small ones, at times the largest that there is.
    const bound = (hash & 15) === 0 ? this.#lengthMax : Math.min(this.#lengthMax, 64)
    return 4 + ((hash >>> 4) % (bound - 3))
  }

  typeOf(id: number): number {
    return mixed(id + this.#seed) & 0x7fffffff
  }

  write(bytes: Uint8Array, offset: number, id: number): void {
    const length = this.lengthOf(id)
    for (let index = 0; index < 4; index++) bytes[offset + index] = (id >>> (8 * index)) & 255
    let state = mixed(id ^ this.#seed)
    for (let index = 4; index < length; index++) {
      state = next(state)
      bytes[offset + index] = state >>> 24
    }
  }

  /** What the frame says it is. */
  idOf(bytes: Uint8Array, offset: number): number {
    let id = 0
    for (let index = 3; index >= 0; index--) id = (id << 8) | (bytes[offset + index] as number)
    return id
  }

  isWhole(bytes: Uint8Array, offset: number, length: number, type: number, id: number): boolean {
    if (length !== this.lengthOf(id) || type !== this.typeOf(id) || id !== this.idOf(bytes, offset)) return false
    let state = mixed(id ^ this.#seed)
    for (let index = 4; index < length; index++) {
      state = next(state)
      if (bytes[offset + index] !== state >>> 24) return false
    }
    return true
  }
}

function mixed(value: number): number {
  let hash = Math.imul(value ^ (value >>> 16), 0x85ebca6b)
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35)
  return (hash ^ (hash >>> 16)) >>> 0
}

function next(state: number): number {
  return (Math.imul(state, 1664525) + 1013904223) >>> 0
}
