import { assert } from '#base/assert.js'
import { MillraceError } from '#base/errors.js'
import {
  type Codec,
  createCodec,
  type Data,
  type EntitySchema,
  type FieldSchema,
  fieldsKey,
  readAs,
  whyNotReadable,
} from '#schema/index.js'
import type { EntityModel } from './entity-model.js'
import { KIN_COMMAND_CODEC, KIN_COMMANDS } from './kin-commands.js'

/** What a command number stands for in the frames of a running plant: one shape of one command. */
export interface NumberedCommand {
  readonly entity: string
  readonly command: string
  readonly fields: readonly FieldSchema[]
}

/** A command of a plant: its entity type and its place there. */
export interface PlantCommand {
  readonly model: EntityModel
  readonly commandIndex: number
  /** Of its data in frames. */
  readonly codec: Codec
  /** Makes what was decoded the data of the command; undefined where it is that already. */
  readonly read: ((data: Data) => Data) | undefined
}

/** Those that every type has. */
const KIN_COMMAND_SCHEMAS = KIN_COMMANDS.map((command) => ({ command, fields: KIN_COMMAND_CODEC.fields }))

/** In order of numbers. Numbers are only ever added, so that processes with earlier and later code understand each other: `codes` in the order in which they came. */
export function numberCommands(codes: readonly (readonly EntitySchema[])[]): readonly NumberedCommand[] {
  const numbered = new Map<string, NumberedCommand>()
  for (const { entity, commands } of codes.flat()) {
    for (const { command, fields } of [...commands, ...KIN_COMMAND_SCHEMAS]) {
      const key = `${entity}.${command} ${fieldsKey(fields)}`
      if (!numbered.has(key)) numbered.set(key, { entity, command, fields })
    }
  }
  return [...numbered.values()]
}

/** Throws ERR_COMMAND_CHANGED when code with these schemas cannot take each command of the `codes` without losing or guessing anything. */
export function checkCommands(codes: readonly (readonly EntitySchema[])[], schemas: readonly EntitySchema[]): void {
  const present = numberCommands([schemas])
  for (const numbered of numberCommands(codes)) {
    mustTake(numbered, present.find(({ entity, command }) => entity === numbered.entity && command === numbered.command)?.fields)
  }
}

/** How a plant takes the command. Throws ERR_COMMAND_CHANGED when it cannot. */
export function plantCommand(numbered: NumberedCommand, model: EntityModel | undefined): PlantCommand {
  const { command, fields } = numbered
  const commandIndex = model?.commandIndex(command) ?? -1
  const codec = commandIndex < 0 ? undefined : model?.commandCodec(commandIndex)
  mustTake(numbered, codec?.fields)
  assert(model !== undefined && codec !== undefined, 'a command that is taken has a type')
  if (fieldsKey(codec.fields) === fieldsKey(fields)) return { model, commandIndex, codec, read: undefined }
  return { model, commandIndex, codec: createCodec(fields), read: readAs(fields, codec.fields) }
}

function mustTake({ entity, command, fields }: NumberedCommand, present: readonly FieldSchema[] | undefined): void {
  const name = `${entity}.${command}`
  if (present === undefined) throw changed(name, { how: 'it is gone' })
  const change = whyNotReadable(fields, present)
  if (change !== undefined) throw changed(name, change)
}

function changed(command: string, values: { readonly field?: string; readonly how: string }): MillraceError {
  return new MillraceError('ERR_COMMAND_CHANGED', {
    fact: 'the new code cannot take a command that the running plant takes',
    action: 'operator',
    values: { command, ...values },
    next: 'keep the command and its fields, adding only fields that are optional or have a default; or stop the plant and start it with the new code',
  })
}
