import { assert } from '#base/assert.js'
import { fieldsKey, type PayloadLayout, payloadLayout } from '#schema/index.js'
import { RECEIPT_TYPE } from './append-frame.js'
import type { EventType, EventTypeDeclaration } from './journal.js'

const NUMBER_MAX = 65_535

/** The event types of a log by number, with their payload layouts. */
export class EventTypes {
  #types: EventType[] = []
  #layouts: (PayloadLayout | undefined)[] = []
  readonly #fixedBytes = new Int32Array(NUMBER_MAX + 1).fill(-1)

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

  /**
   * What `declarations` come to, without making any of it known: types with their numbers, and those among them that are new. An event with other
   * fields than before is a type of its own, so that stored rows keep theirs.
   */
  plan(declarations: readonly EventTypeDeclaration[]): { readonly types: readonly EventType[]; readonly added: readonly EventType[] } {
    const types: EventType[] = []
    const added: EventType[] = []
    for (const { entity, event, fields } of declarations) {
      const key = fieldsKey(fields)
      const known = [...this.#types, ...added].find(
        (type) => type.entity === entity && type.event === event && fieldsKey(type.fields) === key,
      )
      const number = this.#types.length + added.length + 1
      assert(number <= NUMBER_MAX, 'a log has at most 65,535 event types')
      const type = known ?? { entity, event, fields, number }
      if (known === undefined) added.push(type)
      types.push(type)
    }
    return { types, added }
  }

  set(type: EventType): void {
    this.#types = [...this.#types]
    this.#types[type.number - 1] = type
    const layout = payloadLayout(type.fields)
    this.#layouts[type.number - 1] = layout
    this.#fixedBytes[type.number] = layout.fixedBytes
  }
}
