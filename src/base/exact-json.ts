/**
 * JSON that keeps every double apart: -0 is written -0, and NaN, Infinity and -Infinity, which JSON has no number for, as strings of
 * that name. Dates are ISO strings, maps and sets arrays, bytes base64, undefined members left out.
 */
export function exactJson(value: unknown): string {
  switch (typeof value) {
    case 'number':
      if (Object.is(value, -0)) return '-0'
      return Number.isFinite(value) ? String(value) : JSON.stringify(String(value))
    case 'bigint':
      return JSON.stringify(value.toString())
    case 'string':
    case 'boolean':
      return JSON.stringify(value)
    case 'object':
      return value === null ? 'null' : exactObject(value)
    default:
      return 'null'
  }
}

function exactObject(value: object): string {
  if (Array.isArray(value)) return `[${value.map(exactJson).join(',')}]`
  if (value instanceof Date) return JSON.stringify(value)
  if (value instanceof Uint8Array) return JSON.stringify(Buffer.from(value).toString('base64'))
  if (value instanceof Map || value instanceof Set) return `[${[...value].map(exactJson).join(',')}]`
  const members = Object.entries(value).filter(([, member]) => member !== undefined && typeof member !== 'function')
  return `{${members.map(([name, member]) => `${JSON.stringify(name)}:${exactJson(member)}`).join(',')}}`
}
