import { isPlainObject } from '#schema/index.js'

const DEPTH_MAX = 64

/**
 * Why a value cannot be a reply or the detail of a refusal, with its path, or undefined. Both are stored as msgpack and shown as JSON: plain
 * objects, lists, text, booleans, null, undefined, numbers, dates and bytes.
 */
export function whyNotPlain(value: unknown, path: string, depth = 0): string | undefined {
  if (value === undefined || value === null || typeof value === 'boolean' || typeof value === 'number') return undefined
  if (typeof value === 'string') return value.isWellFormed() ? undefined : `${path} is not well-formed Unicode`
  if (typeof value !== 'object') return `${path} is a ${typeof value}`
  if (depth === DEPTH_MAX) return `${path} is nested deeper than ${DEPTH_MAX}, or holds itself`
  if (Array.isArray(value)) {
    for (let index = 0; index < value.length; index++) {
      const wrong = whyNotPlain(value[index], `${path}[${index}]`, depth + 1)
      if (wrong !== undefined) return wrong
    }
    return undefined
  }
  if (value instanceof Date || value instanceof Uint8Array) return undefined
  if (!isPlainObject(value)) return `${path} is a ${value.constructor?.name ?? 'object of an unknown class'}`
  for (const key of Object.keys(value)) {
    if (key === '__proto__') return `${path} has a key named __proto__`
    const wrong = whyNotPlain((value as Record<string, unknown>)[key], `${path}.${key}`, depth + 1)
    if (wrong !== undefined) return wrong
  }
  return undefined
}
