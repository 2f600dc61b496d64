import { Packr } from 'msgpackr'

/** Nesting beyond this is refused, so that no value can exhaust the stack. */
export const JSON_DEPTH_MAX = 64

/** Without shared structures: structures learned by a process that died would decode wrongly. */
const packr = new Packr({ useRecords: false, variableMapSize: true, encodeUndefinedAsNil: false })

/** Why a value is not JSON, with the path inside it, or undefined. A property that is undefined counts as absent, as in JSON.stringify. */
export function whyNotJson(value: unknown, path: string, depth = 0): string | undefined {
  if (value === null || typeof value === 'boolean') return undefined
  if (typeof value === 'string') return value.isWellFormed() ? undefined : `${path}: not well-formed Unicode`
  if (typeof value === 'number') return Number.isFinite(value) ? undefined : `${path}: JSON has no ${value}`
  if (depth === JSON_DEPTH_MAX) return `${path}: nested deeper than ${JSON_DEPTH_MAX}`
  if (Array.isArray(value)) {
    for (let index = 0; index < value.length; index++) {
      const problem = whyNotJson(value[index], `${path}[${index}]`, depth + 1)
      if (problem !== undefined) return problem
    }
    return undefined
  }
  if (typeof value !== 'object' || !isPlainObject(value)) return `${path}: JSON has no ${nameOfKind(value)}`
  for (const [key, inner] of Object.entries(value)) {
    if (key === '__proto__') return `${path}: a key named __proto__ is refused`
    if (!key.isWellFormed()) return `${path}: a key is not well-formed Unicode`
    const problem = inner === undefined ? undefined : whyNotJson(inner, `${path}.${key}`, depth + 1)
    if (problem !== undefined) return problem
  }
  return undefined
}

/** A copy that shares nothing with the value: undefined properties dropped and -0 made 0, as a stored value comes back. */
export function copyJson(value: unknown): unknown {
  if (typeof value === 'number') return value + 0
  if (typeof value !== 'object' || value === null) return value
  if (Array.isArray(value)) return value.map(copyJson)
  const copy: Record<string, unknown> = {}
  for (const [key, inner] of Object.entries(value)) if (inner !== undefined) copy[key] = copyJson(inner)
  return copy
}

export function packJson(value: unknown): Uint8Array {
  return packr.pack(copyJson(value))
}

/** Throws whatever msgpackr throws when the bytes are no msgpack. The bytes may be reused afterwards. */
export function unpackJson(bytes: Uint8Array): unknown {
  return packr.unpack(bytes)
}

export function isPlainObject(value: object): boolean {
  const prototype = Object.getPrototypeOf(value)
  return prototype === Object.prototype || prototype === null
}

function nameOfKind(value: unknown): string {
  if (typeof value !== 'object' || value === null) return typeof value
  return value.constructor?.name ?? 'object of this kind'
}
