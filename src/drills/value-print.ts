import { hash32 } from '#base/hash.js'

export type Values = Readonly<Record<string, unknown>>

const DIGESTS = 2 ** 32
const utf8 = new TextEncoder()

/**
 * Prints of what commands say, a number each, by which the same values are known again in an event. A command's values stand under their own names in one event of those that it
 * leads to, beside which that may have others. Of different values one print in four thousand million is the same.
 */
export class ValuePrints {
  /** The names of the values of each shape of command, and the number of the shape by these names. */
  readonly #shapes: (readonly string[])[] = []
  readonly #numbers = new Map<string, number>()

  of(values: Values): number {
    const names = Object.keys(values)
    const key = names.join('\n')
    let shape = this.#numbers.get(key)
    if (shape === undefined) {
      shape = this.#shapes.push(names) - 1
      this.#numbers.set(key, shape)
    }
    return shape * DIGESTS + digestOf(names, values)
  }

  /** Whether one of the events says what the command of the print said. */
  isSaid(print: number, events: readonly Values[]): boolean {
    const names = this.#shapes[Math.floor(print / DIGESTS)] ?? []
    return events.some((event) => names.every((name) => name in event) && digestOf(names, event) === print % DIGESTS)
  }
}

function digestOf(names: readonly string[], values: Values): number {
  return hash32(utf8.encode(names.map((name) => textOf(values[name])).join('\n')))
}

function textOf(value: unknown): string {
  return typeof value === 'number' || typeof value === 'boolean' ? `${value}` : (JSON.stringify(value) ?? '')
}
