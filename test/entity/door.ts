import { type AnyEntity, defineEntity, f64, label } from '#entity/index.js'

/** As plain JavaScript would call it. */
export const define = defineEntity as unknown as (definition: unknown) => AnyEntity

/** What a type of doors that are noted is defined by, with these states, and with parts that are more or others. */
export function doorWith(states: object, more: object = {}): object {
  return {
    name: 'door',
    events: { Noted: { text: label() } },
    commands: { go: {}, push: { force: f64() } },
    initial: () => ({ notes: 0 }),
    states,
    apply: { Noted: (state: { notes: number }) => void state.notes++ },
    ...more,
  }
}
