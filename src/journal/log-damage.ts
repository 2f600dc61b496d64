import { isMillraceError, type MillraceError } from '#base/errors.js'

const CODES: ReadonlySet<string> = new Set(['ERR_BLOCK_DAMAGED', 'ERR_SEGMENT_DAMAGED', 'ERR_SEGMENT_UNREADABLE', 'ERR_CATALOG_DAMAGED'])

/** Whether a part of the log could not be read, as opposed to the log as a whole: what stands elsewhere may be whole. */
export function isLogDamage(error: unknown): error is MillraceError {
  return isMillraceError(error) && CODES.has(error.code)
}

/** What is read, or undefined where that is damaged, which is told. Anything else is thrown on. */
export function unlessDamaged<T>(read: () => T, onDamaged: (damage: MillraceError) => void): T | undefined {
  try {
    return read()
  } catch (error) {
    if (!isLogDamage(error)) throw error
    onDamaged(error)
    return undefined
  }
}
