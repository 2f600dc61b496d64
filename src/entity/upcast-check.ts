import { checkFields, type Fields, fieldSchemas, fieldsKey, wrongName } from '#schema/index.js'

/** A part of a definition, and what to do about it. */
export interface Wrong {
  readonly path: string
  readonly what: string
}

/** What is wrong with `upcast` and `dropped` of a definition whose events are right. */
export function wrongUpcasts({ events, upcast, dropped }: Readonly<Record<string, unknown>>): Wrong | undefined {
  const names = Object.keys(events as object)
  return (
    wrongDropped(dropped, names) ?? (upcast === undefined ? undefined : wrongChains(upcast, events as Readonly<Record<string, Fields>>))
  )
}

function wrongDropped(dropped: unknown, names: readonly string[]): Wrong | undefined {
  if (dropped === undefined) return undefined
  if (!Array.isArray(dropped)) return { path: 'dropped', what: "give a list of names, such as ['Calibrated']" }
  for (const name of dropped) {
    const wrong = wrongName(name) ?? (names.includes(name) ? 'the type still has this event' : undefined)
    if (wrong !== undefined) return { path: `dropped.${name}`, what: wrong }
  }
  return undefined
}

function wrongChains(upcast: unknown, events: Readonly<Record<string, Fields>>): Wrong | undefined {
  if (!isRecord(upcast)) return { path: 'upcast', what: 'give an object with a list of former shapes for each event that had some' }
  const seen = new Set(Object.entries(events).map(([event, fields]) => shapeKey(event, fields)))
  for (const [event, steps] of Object.entries(upcast)) {
    if (!Object.hasOwn(events, event)) return { path: `upcast.${event}`, what: 'there is no event of this name' }
    if (!Array.isArray(steps)) return { path: `upcast.${event}`, what: 'give a list of { from, to }, the oldest shape first' }
    for (const [index, step] of steps.entries()) {
      const path = `upcast.${event}[${index}]`
      const wrong = wrongStep(path, event, step, events)
      if (wrong !== undefined) return wrong
      const key = shapeKey(step.event ?? event, step.from)
      if (seen.has(key)) return { path, what: 'this shape is there already: each is declared once, and the present one under events alone' }
      seen.add(key)
    }
  }
  return undefined
}

function wrongStep(path: string, event: string, step: unknown, events: object): Wrong | undefined {
  if (!isRecord(step)) return { path, what: 'give { from: fields, to: function }' }
  const extra = Object.keys(step).find((key) => !['event', 'from', 'to'].includes(key))
  if (extra !== undefined) return { path: `${path}.${extra}`, what: 'there is no such part, only event, from, to' }
  if (step.event !== undefined) {
    const wrong = wrongName(step.event)
    if (wrong !== undefined) return { path: `${path}.event`, what: wrong }
    if (step.event !== event && Object.hasOwn(events, step.event as string))
      return { path: `${path}.event`, what: 'the type still has an event of this name' }
  }
  const wrong = wrongFields(`${path}.from`, step.from)
  if (wrong !== undefined) return wrong
  if (typeof step.to !== 'function' || step.to.constructor.name !== 'Function')
    return { path: `${path}.to`, what: 'give a plain function from the old data to the next shape, neither async nor a generator' }
  return undefined
}

function shapeKey(event: string, fields: Fields): string {
  return `${event} ${fieldsKey(fieldSchemas(fields))}`
}

/** What is wrong with the fields of one event or command. */
export function wrongFields(path: string, fields: unknown): Wrong | undefined {
  if (!isRecord(fields)) return { path, what: 'give an object of fields, such as { temperature: f64() }' }
  const notField = Object.keys(fields).find((field) => !isRecord(fields[field]))
  if (notField !== undefined) return { path: `${path}.${notField}`, what: 'give a field and call it: f64(), label(), …' }
  const wrong = checkFields(fieldSchemas(fields as Fields))
  return wrong === undefined ? undefined : { path, what: wrong }
}

export function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
