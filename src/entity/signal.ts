import { type Fields, fieldSchemas, fieldsKey, i64, label, text } from '#schema/index.js'

/**
 * What is heard of an entity. `started`: it takes commands, for the first time or again. `pulsed`: it has executed a command of its own. `errored`: a command failed, see
 * `code`. `exited`: it takes no commands any more. `escalated`: whoever hears it has nobody above, and its children are stopped for what one of them could not mend. `lost`: the
 * process that it lived in has died, and it goes on in another one.
 */
export const SIGNALS = ['started', 'pulsed', 'errored', 'exited', 'escalated', 'lost'] as const

export type SignalKind = (typeof SIGNALS)[number]

/** The fields of a command that takes what is heard of children, or of whom an entity watches: `commands: { onPress: signal() }`. */
export function signal() {
  return {
    signal: label({ oneOf: SIGNALS }),
    /** Whom it is about, `type/name`. */
    from: label(),
    /** Counts the starts of children that its parent has ordered; 0 where it has none. */
    incarnation: i64(),
    /** Why: DECIDE_FAILED, APPLY_FAILED, PARKED, TOO_LARGE, ESCALATED, RESTARTS_EXHAUSTED, STOPPED, or what `exit` was given. */
    code: label({ optional: true }),
    message: text({ optional: true }),
    /** Of an error of a child: what its supervisor does about it. */
    directive: label({ optional: true }),
  } as const
}

export type SignalFields = ReturnType<typeof signal>

const KEY = fieldsKey(fieldSchemas(signal()))

/** Whether one of the declared commands takes signals. */
export function takesSignalNamed(commands: { readonly [name: string]: Fields }, name: string): boolean {
  return Object.hasOwn(commands, name) && takesSignal(fieldSchemas(commands[name] as Fields))
}

/** Whether a command with these fields can take a signal. */
export function takesSignal(fields: Parameters<typeof fieldsKey>[0]): boolean {
  return fieldsKey(fields) === KEY
}
