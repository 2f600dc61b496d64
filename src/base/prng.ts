/**
 * A seeded generator (sfc32, Chris Doty-Humphrey's PractRand family): four 32-bit words of state, period about 2^127, the same numbers
 * on every platform. Not for secrets.
 */
export class Prng {
  #a: number
  #b: number
  #c: number
  #counter = 1

  constructor(seed: number | string) {
    let hash = 2166136261
    for (const character of String(seed)) hash = Math.imul(hash ^ character.charCodeAt(0), 16777619)
    this.#a = hash | 0
    this.#b = Math.imul(hash, 0x9e3779b9) | 0
    this.#c = (hash ^ 0x85ebca6b) | 0
    for (let round = 0; round < 12; round++) this.nextInt32()
  }

  /** A signed 32-bit integer, every value equally likely. */
  nextInt32(): number {
    const mixed = (((this.#a + this.#b) | 0) + this.#counter) | 0
    this.#counter = (this.#counter + 1) | 0
    this.#a = this.#b ^ (this.#b >>> 9)
    this.#b = (this.#c + (this.#c << 3)) | 0
    this.#c = (this.#c << 21) | (this.#c >>> 11)
    this.#c = (this.#c + mixed) | 0
    return mixed
  }

  /** In [0, 1), with 53 random bits. */
  next(): number {
    const high = this.nextInt32() >>> 5
    const low = this.nextInt32() >>> 6
    return (high * 67108864 + low) / 9007199254740992
  }

  /** A whole number in [0, bound). */
  below(bound: number): number {
    return Math.floor(this.next() * bound)
  }

  /** Normally distributed (Box and Muller 1958). */
  normal(mean: number, deviation: number): number {
    const radius = Math.sqrt(-2 * Math.log(1 - this.next()))
    return mean + deviation * radius * Math.cos(2 * Math.PI * this.next())
  }

  pick<T>(choices: readonly T[]): T {
    return choices[this.below(choices.length)] as T
  }
}
