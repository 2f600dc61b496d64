/** Twice this and one more is the range of most lengths; one frame of ROOMY is of any length that the channel takes. */
const SHORT_MASK = 63
const ROOMY_MASK = 1023

/**
 * An endless row of frames that follows from a seed: of each the length, the type and every byte. Both ends walk their own copy, so that
 * whatever is lost, doubled, moved or torn shows at the first frame where they differ.
 */
export class FrameStream {
  bytes = 0
  type = 0
  #state
  #bytesMax

  constructor(seed, bytesMax) {
    // Zero is the one state that xorshift does not leave.
    this.#state = Math.imul(seed | 0, 0x9e3779b1) || 1
    this.#bytesMax = bytesMax
  }

  /** Says what the next frame is. Its payload is to be written, checked or skipped before the one after it. */
  draw() {
    const x = step(this.#state)
    this.bytes = (x & ROOMY_MASK) === 0 ? (x >>> 10) % (this.#bytesMax + 1) : Math.min((x >>> 10) & SHORT_MASK, this.#bytesMax)
    this.type = x >>> 1
    this.#state = x
  }

  write(words, bytes, offset) {
    let x = this.#state
    const end = offset + this.bytes
    const wordsEnd = end >> 2
    for (let word = offset >> 2; word < wordsEnd; word++) {
      x = step(x)
      words[word] = x
    }
    for (let at = wordsEnd << 2; at < end; at++) {
      x = step(x)
      bytes[at] = x
    }
    this.#state = x
  }

  /** Answers -1, or where in the payload the first difference is. */
  check(words, bytes, offset) {
    let x = this.#state
    const end = offset + this.bytes
    const wordsEnd = end >> 2
    for (let word = offset >> 2; word < wordsEnd; word++) {
      x = step(x)
      if (words[word] !== x) return (word << 2) - offset
    }
    for (let at = wordsEnd << 2; at < end; at++) {
      x = step(x)
      if (bytes[at] !== (x & 255)) return at - offset
    }
    this.#state = x
    return -1
  }

  skip() {
    for (let count = (this.bytes >> 2) + (this.bytes & 3); count > 0; count--) this.#state = step(this.#state)
  }

  /** Where the stream is: for going back to it. */
  get state() {
    return this.#state
  }

  set state(state) {
    this.#state = state
  }
}

/** What an end decides at random, apart from the frames. */
export class Dice {
  #state

  constructor(seed) {
    this.#state = Math.imul(seed | 0, 0x85ebca6b) || 1
  }

  /** Uniform below `count`, a power of two. */
  below(count) {
    this.#state = step(this.#state)
    return (this.#state >>> 7) & (count - 1)
  }
}

/** Marsaglia's xorshift, 32 bits. */
function step(x) {
  let next = x
  next ^= next << 13
  next ^= next >>> 17
  next ^= next << 5
  return next
}
