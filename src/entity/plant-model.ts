import { MillraceError } from '#base/errors.js'
import { type EntitySchema, schemaHash } from '#schema/index.js'
import type { EffectModel } from './effect.js'
import type { AnyEntity } from './entity.js'
import { compileEntity, type EntityModel } from './entity-model.js'
import { KIN_COMMANDS } from './kin-commands.js'

/** A command of a plant: its entity type and its place there. */
export interface PlantCommand {
  readonly model: EntityModel
  readonly commandIndex: number
}

/**
 * All entity types of a plant, compiled, and the numbering of their commands that doors and workers share. Both ends make it from the same
 * plant module; `schemaHash`, which every channel checks, tells when they did not.
 */
export class PlantModel {
  readonly models: readonly EntityModel[]
  /** What its types have done outside, by name. */
  readonly effects: ReadonlyMap<string, EffectModel>
  /** By command number, as it stands in command frames. */
  readonly commands: readonly PlantCommand[]
  /** An int32 over all event and command schemas. */
  readonly schemaHash: number
  readonly #byType: ReadonlyMap<string, EntityModel>
  readonly #numbers: ReadonlyMap<EntityModel, number>

  constructor(entities: readonly AnyEntity[]) {
    const models = entities.map((entity) => compileEntity(entity)).sort((a, b) => (a.name < b.name ? -1 : 1))
    const byType = new Map<string, EntityModel>()
    const numbers = new Map<EntityModel, number>()
    const commands: PlantCommand[] = []
    for (const model of models) {
      if (byType.has(model.name)) {
        throw new MillraceError('ERR_PLANT_DEFINITION', {
          fact: 'two entity types have one name',
          action: 'operator',
          values: { type: model.name },
          next: 'rename one of them',
        })
      }
      byType.set(model.name, model)
      model.peers = (type) => byType.get(type)
      numbers.set(model, commands.length)
      for (const commandIndex of [...model.commandNames, ...KIN_COMMANDS].keys()) commands.push({ model, commandIndex })
    }
    this.models = models
    this.effects = effectsOf(models)
    this.commands = commands
    this.schemaHash = schemaHash(models.map(({ schema }) => schema))
    this.#byType = byType
    this.#numbers = numbers
  }

  /** What processes without the plant's code know of it. */
  get schemas(): readonly EntitySchema[] {
    return this.models.map(({ schema }) => schema)
  }

  model(type: string): EntityModel | undefined {
    return this.#byType.get(type)
  }

  /** The number of a command, or -1 when the type has none of that name. */
  commandNumber(model: EntityModel, command: string): number {
    const index = model.commandIndex(command)
    return index < 0 ? -1 : (this.#numbers.get(model) as number) + index
  }
}

function effectsOf(models: readonly EntityModel[]): ReadonlyMap<string, EffectModel> {
  const effects = new Map<string, EffectModel>()
  for (const [name, model] of models.flatMap((one) => [...one.effects])) {
    const known = effects.get(name) ?? model
    if (known.effect !== model.effect) {
      throw new MillraceError('ERR_PLANT_DEFINITION', {
        fact: 'two effects have one name',
        action: 'operator',
        values: { effect: name },
        next: 'rename one of them',
      })
    }
    effects.set(name, known)
  }
  return effects
}
