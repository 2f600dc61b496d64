/**
 * Milliseconds with a fraction on the machine's monotonic clock, which all of its processes share: a time of one means the same to another. Only
 * differences mean anything.
 */
export function machineMs(): number {
  const [seconds, nanoseconds] = process.hrtime()
  return seconds * 1000 + nanoseconds / 1e6
}
