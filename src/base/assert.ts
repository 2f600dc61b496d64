/** Says that a bug was met. The process that throws it is expected to end and to be replaced. */
export class AssertionError extends Error {
  override readonly name = 'AssertionError'
}

/** One condition per call, so that a failure names the condition that broke. */
export function assert(condition: unknown, claim: string): asserts condition {
  if (!condition) throw new AssertionError(`broken: ${claim}`)
}

/** Marks a branch that the types say cannot be reached. */
export function unreachable(value: never, claim: string): never {
  throw new AssertionError(`broken: ${claim}, got ${String(value)}`)
}
