import type { JsonPath } from './ingest-map.js'

/** Reads `a.b[0].c`, also with a leading `$.`; `$` alone is the whole value. Undefined when it is no such path. A key with other characters stands as `["key"]`. */
export function parseJsonPath(text: string): JsonPath | undefined {
  const steps: (string | number)[] = []
  let rest = text.startsWith('$') ? text.slice(1) : text
  if (rest !== '' && !/^[.[]/.test(rest)) rest = `.${rest}`
  while (rest !== '') {
    const match = /^\.([^.[\]"]+)|^\[(\d{1,9})\]|^\[("(?:[^"\\]|\\.)*")\]/.exec(rest)
    if (match === null) return undefined
    const [whole, key, index, quoted] = match
    if (key !== undefined) steps.push(key)
    else if (index !== undefined) steps.push(Number(index))
    else {
      try {
        steps.push(JSON.parse(quoted as string) as string)
      } catch {
        return undefined
      }
    }
    rest = rest.slice(whole.length)
  }
  return steps.length === 0 && text !== '$' ? undefined : steps
}

/** The value at the path, or undefined. Own properties only. */
export function valueAt(value: unknown, path: JsonPath): unknown {
  let at = value
  for (const step of path) {
    if (typeof at !== 'object' || at === null || !Object.hasOwn(at, step)) return undefined
    at = (at as Record<string | number, unknown>)[step]
  }
  return at
}

/** The path as a person writes it. */
export function showPath(path: JsonPath): string {
  if (path.length === 0) return 'the payload'
  return path
    .map((step, index) => {
      if (typeof step === 'number') return `[${step}]`
      if (/[.[\]"]/.test(step)) return `[${JSON.stringify(step)}]`
      return index === 0 ? step : `.${step}`
    })
    .join('')
}
