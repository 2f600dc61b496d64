/**
 * A deep copy of a state or of event data whose objects have their properties in the opposite order. Map and Set keep theirs: there it is part of the
 * value. What was shared stays shared when `isSharing`, and is apart otherwise, as after a snapshot.
 */
export function reverseProperties<T>(value: T, isSharing = true): T {
  return copy(value, isSharing ? new Map() : undefined, true) as T
}

/** A deep copy, with the order of properties and what is shared as it was. */
export function copyState<T>(value: T): T {
  return copy(value, new Map(), false) as T
}

function copy(value: unknown, copies: Map<object, object> | undefined, isReversed: boolean): unknown {
  if (typeof value !== 'object' || value === null) return value
  const known = copies?.get(value)
  if (known !== undefined) return known
  const prototype: unknown = Object.getPrototypeOf(value)
  if (prototype === Object.prototype) {
    const made = {}
    copies?.set(value, made)
    return copyProperties(value, made, copies, isReversed)
  }
  const made = emptyCopy(value)
  copies?.set(value, made)
  if (Array.isArray(value)) for (const one of value) (made as unknown[]).push(copy(one, copies, isReversed))
  else if (value instanceof Map) {
    for (const [key, one] of value) (made as Map<unknown, unknown>).set(copy(key, copies, isReversed), copy(one, copies, isReversed))
  } else if (value instanceof Set) for (const one of value) (made as Set<unknown>).add(copy(one, copies, isReversed))
  else if (!(value instanceof Date || value instanceof Uint8Array)) copyProperties(value, made, copies, isReversed)
  return made
}

function copyProperties(value: object, made: object, copies: Map<object, object> | undefined, isReversed: boolean): object {
  const keys = Object.keys(value)
  for (let index = 0; index < keys.length; index++) {
    const key = keys[isReversed ? keys.length - 1 - index : index] as string
    const one = copy((value as Record<string, unknown>)[key], copies, isReversed)
    if (key === '__proto__') Object.defineProperty(made, key, { value: one, writable: true, enumerable: true, configurable: true })
    else (made as Record<string, unknown>)[key] = one
  }
  return made
}

function emptyCopy(value: object): object {
  if (Array.isArray(value)) return []
  if (value instanceof Map) return new Map()
  if (value instanceof Set) return new Set()
  if (value instanceof Date) return new Date(value.getTime())
  if (value instanceof Uint8Array) return new Uint8Array(value)
  return Object.create(Object.getPrototypeOf(value) as object | null) as object
}
