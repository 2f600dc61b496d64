import { decodeCanonical } from './canonical-reader.js'
import { encodeCanonical } from './canonical.js'

/** Said by what V8 throws on a frozen object, and by our own maps, sets and dates below. */
const CHANGE_REFUSED = /read only property|object is not extensible|Cannot delete property|Cannot redefine property|is frozen: /

/** A deep copy of a state in which any change throws, also to Map, Set and Date, which Object.freeze leaves open. Bytes stay open: they cannot be closed. */
export function frozenCopy(state: unknown): unknown {
  return freeze(decodeCanonical(encodeCanonical(state)))
}

/** Whether an error comes from changing a frozen copy. */
export function isChangeRefused(error: unknown): boolean {
  return error instanceof TypeError && CHANGE_REFUSED.test(error.message)
}

function freeze(value: unknown): unknown {
  if (typeof value !== 'object' || value === null || value instanceof Uint8Array) return value
  if (value instanceof Map) {
    for (const [key, one] of value) {
      freeze(key)
      freeze(one)
    }
    close(value, 'Map', ['set', 'delete', 'clear'])
  } else if (value instanceof Set) {
    for (const one of value) freeze(one)
    close(value, 'Set', ['add', 'delete', 'clear'])
  } else if (value instanceof Date) {
    close(
      value,
      'Date',
      Object.getOwnPropertyNames(Date.prototype).filter((name) => name.startsWith('set')),
    )
  } else {
    for (const one of Object.values(value)) freeze(one)
  }
  return Object.freeze(value)
}

function close(value: object, kind: string, methods: readonly string[]): void {
  for (const method of methods) {
    const refuse = () => {
      throw new TypeError(`a ${kind} of the state is frozen: ${method} was called`)
    }
    Object.defineProperty(value, method, { value: refuse })
  }
}
