export function isPowerOfTwo(value: number): boolean {
  return value > 0 && Number.isSafeInteger(value) && Number.isInteger(Math.log2(value))
}
