/**
 * The names and kinds of what a state is made of, as plain data: two states with the same shape differ in values alone. What lists, maps and sets hold
 * is left out, since it comes and goes.
 */
export function shapeOf(value: unknown): unknown {
  if (value === null) return 'null'
  if (typeof value !== 'object') return typeof value
  if (Array.isArray(value)) return 'list'
  if (value instanceof Map) return 'map'
  if (value instanceof Set) return 'set'
  if (value instanceof Date) return 'date'
  if (value instanceof Uint8Array) return 'bytes'
  return new Map(
    Object.keys(value)
      .sort()
      .map((key) => [key, shapeOf((value as Record<string, unknown>)[key])]),
  )
}
