import { createCodec, fieldSchemas, i64, json, label, text } from '#schema/index.js'

/**
 * Commands that every entity type has without declaring them. Only entities send them: doors know declared ones alone, and turn away who calls himself an entity.
 */
export const KIN_COMMANDS = [
  /** Of the parent: take commands from now on. */
  '#start',
  /** Of the parent. */
  '#stop',
  '#resume',
  '#suspend',
  /** Of the parent: belong to nobody. */
  '#release',
  /** Of a child, or somebody watched: what has become of it. */
  '#signal',
  '#watch',
  '#unwatch',
  /** Of a timer: children have waited long enough to be started again. */
  '#due',
  /** Of a timer: tell the parent that this was executed. */
  '#pulse',
  /** Of the worker: its predecessor, in which the entity lived, has died. */
  '#lost',
] as const

export type KinCommand = (typeof KIN_COMMANDS)[number]

/** All of them have these. */
const FIELDS = {
  incarnation: i64(),
  what: label({ optional: true }),
  code: label({ optional: true }),
  message: text({ optional: true }),
  data: json({ optional: true }),
} as const

export const KIN_COMMAND_CODEC = createCodec(fieldSchemas(FIELDS))

export interface KinCommandData {
  readonly incarnation: number
  readonly what?: string | undefined
  readonly code?: string | undefined
  readonly message?: string | undefined
  readonly data?: Readonly<Record<string, unknown>> | undefined
}

export function isKinCommand(command: string): boolean {
  return command.startsWith('#')
}
