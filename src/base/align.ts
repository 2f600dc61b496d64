/** Rounds up to a multiple of `alignment`, a power of two. Numbers up to 2^31. */
export function alignUp(value: number, alignment: number): number {
  return (value + alignment - 1) & -alignment
}

export function isPowerOfTwo(value: number): boolean {
  return value > 0 && Number.isSafeInteger(value) && Number.isInteger(Math.log2(value))
}
