import { assert } from '#base/assert.js'
import { MillraceError } from '#base/errors.js'
import { type FieldSchema, type PayloadLayout, payloadLayout } from '#schema/index.js'
import { RECEIPT_TYPE } from './append-frame.js'
import type { EventType, EventTypeDeclaration } from './journal.js'

const NUMBER_MAX = 65_535

/** The event types of a log by number, with their payload layouts. */
export class EventTypes {
  #types: EventType[] = []
  #layouts: (PayloadLayout | undefined)[] = []
  readonly #fixedBytes = new Int32Array(NUMBER_MAX + 1).fill(-1)
  readonly #byName = new Map<string, EventType>()

  constructor(types: readonly EventType[] = []) {
    this.#fixedBytes[RECEIPT_TYPE] = 0
    for (const type of types) this.set(type)
  }

  get all(): readonly EventType[] {
    return this.#types
  }

  byNumber(number: number): EventType | undefined {
    return this.#types[number - 1]
  }

  layout(number: number): PayloadLayout {
    const layout = this.#layouts[number - 1]
    assert(layout !== undefined, 'an event type is registered before its rows are appended')
    return layout
  }

  /** Least bytes of a payload of the type. */
  fixedBytes(number: number): number {
    const bytes = this.#fixedBytes[number] as number
    assert(bytes >= 0, 'an event type is registered before its rows are appended')
    return bytes
  }

  /** What `declarations` come to, without making any of it known: types with their numbers, and those among them that are new or have grown. */
  plan(declarations: readonly EventTypeDeclaration[]): { readonly types: readonly EventType[]; readonly changed: readonly EventType[] } {
    const types: EventType[] = []
    const changed: EventType[] = []
    const planned = new Map<string, EventType>()
    let next = this.#types.length + 1
    for (const declaration of declarations) {
      const name = nameOf(declaration)
      const known = planned.get(name) ?? this.#byName.get(name)
      if (known !== undefined) checkGrowth(known, declaration.fields)
      const { entity, event, fields } = declaration
      const type: EventType = { entity, event, fields, number: known?.number ?? next++ }
      assert(type.number <= NUMBER_MAX, 'a log has at most 65,535 event types')
      if (known === undefined || known.fields.length < fields.length) changed.push(type)
      planned.set(name, type)
      types.push(type)
    }
    return { types, changed }
  }

  set(type: EventType): void {
    this.#types = [...this.#types]
    this.#types[type.number - 1] = type
    const layout = payloadLayout(type.fields)
    this.#layouts[type.number - 1] = layout
    this.#fixedBytes[type.number] = layout.fixedBytes
    this.#byName.set(nameOf(type), type)
  }
}

/** Fields may be added at the end when old rows can do without: optional, or with a default. Anything else would make stored rows mean something else. */
function checkGrowth(known: EventType, fields: readonly FieldSchema[]): void {
  known.fields.forEach((before, index) => {
    const after = fields[index]
    if (after === undefined || after.name !== before.name) {
      throw schemaChanged(known, before.name, fields.some((field) => field.name === before.name) ? 'it moved' : 'it is gone')
    }
    const was = JSON.stringify(canonical(before))
    const is = JSON.stringify(canonical(after))
    if (was !== is) throw schemaChanged(known, before.name, `it was ${was}, it is ${is}`)
  })
  for (const added of fields.slice(known.fields.length)) {
    if (!added.isOptional && added.defaultValue === undefined)
      throw schemaChanged(known, added.name, 'it is new, and neither optional nor with a default')
  }
}

function schemaChanged(type: EventType, field: string, how: string): MillraceError {
  return new MillraceError('ERR_SCHEMA_CHANGED', {
    fact: 'an event type with stored rows came with other fields',
    action: 'operator',
    values: { type: `${type.entity}.${type.event}`, field, how },
    next: 'declare the fields as they were and add new ones at the end, optional or with a default, or give the event a new name',
  })
}

function canonical(field: FieldSchema): unknown {
  return [field.kind, field.isOptional, field.unit ?? '', field.oneOf ?? null, field.defaultValue ?? null]
}

function nameOf(type: EventTypeDeclaration): string {
  return `${type.entity}.${type.event}`
}
