import { type Fields, fieldSchemas, fieldsKey, i64, json, type Json, label, whyNotJson } from '#schema/index.js'
import type { Message, SettledAs } from './outbox.js'

/** What came of an ask. `failed`: the target's own code threw, or nobody could be asked. `forgotten`: it was done, and the answer is not known any more. */
export const ANSWER_OUTCOMES = ['done', 'refused', 'failed', 'forgotten', 'timed-out'] as const

/** The fields of a command that takes the answer to an ask: `commands: { onSampled: answer() }`. The types of reply and detail are believed, not checked. */
export function answer<Reply = Json, Detail = Json>() {
  return {
    /** The number that `ask` gave. */
    message: i64(),
    /** Who was asked, `type/name`. */
    from: label(),
    outcome: label({ oneOf: ANSWER_OUTCOMES }),
    reply: json<Reply>({ optional: true }),
    /** Of a refusal, or what went wrong. */
    code: label({ optional: true }),
    detail: json<Detail>({ optional: true }),
  } as const
}

export type AnswerFields = ReturnType<typeof answer<unknown, unknown>>

const KEY = fieldsKey(fieldSchemas(answer() as Fields))

const known = new WeakMap<object, boolean>()

/** Whether a command with these fields can take an answer. */
export function takesAnswer(fields: Parameters<typeof fieldsKey>[0]): boolean {
  let takes = known.get(fields)
  if (takes === undefined) known.set(fields, (takes = fieldsKey(fields) === KEY))
  return takes
}

/** The data of the command that takes the answer to a message. What JSON does not have comes as JSON would say it. */
export function answerData(
  { number, to }: Pick<Message, 'number' | 'to'>,
  outcome: SettledAs,
  { reply, code, detail }: { readonly reply?: unknown; readonly code?: string | undefined; readonly detail?: unknown },
): object {
  return { message: number, from: to, outcome, reply: jsonOf(reply), code, detail: jsonOf(detail) }
}

function jsonOf(value: unknown): unknown {
  if (value === undefined || whyNotJson(value, '') === undefined) return value
  return JSON.parse(JSON.stringify(value)) as unknown
}
