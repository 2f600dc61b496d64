import { MillraceError } from '#base/errors.js'
import { type EntitySchema, schemaHash } from '#schema/index.js'
import { numberCommands, type PlantCommand, plantCommand } from './command-numbers.js'
import type { EffectModel } from './effect.js'
import type { AnyEntity } from './entity.js'
import { compileEntity, type EntityModel } from './entity-model.js'

/**
 * All entity types of a plant, compiled, and the numbering of their commands that doors and workers share. Both ends make it from the same
 * plant module; `schemaHash`, which every channel checks, tells when they did not.
 */
export class PlantModel {
  readonly models: readonly EntityModel[]
  /** What its types have done outside, by name. */
  readonly effects: ReadonlyMap<string, EffectModel>
  /** An int32 over all event and command schemas. */
  readonly schemaHash: number
  readonly #byType: ReadonlyMap<string, EntityModel>
  #commands: readonly PlantCommand[] = []
  #numbers: ReadonlyMap<EntityModel, readonly number[]> = new Map()

  constructor(entities: readonly AnyEntity[]) {
    const models = entities.map((entity) => compileEntity(entity)).sort((a, b) => (a.name < b.name ? -1 : 1))
    const byType = new Map<string, EntityModel>()
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
    }
    this.models = models
    this.effects = effectsOf(models)
    this.schemaHash = schemaHash(models.map(({ schema }) => schema))
    this.#byType = byType
    this.number([this.schemas])
  }

  /** By command number, as it stands in command frames. */
  get commands(): readonly PlantCommand[] {
    return this.#commands
  }

  /**
   * Numbers the commands as all processes of a running plant do: those of the code that it was started with first, then those that came with later code; the last of
   * `codes` is this plant's own. Throws ERR_COMMAND_CHANGED for a command of earlier code that this plant cannot take.
   */
  number(codes: readonly (readonly EntitySchema[])[]): void {
    const numbers = new Map(this.models.map((model): [EntityModel, number[]] => [model, []]))
    this.#commands = numberCommands(codes).map((numbered, number) => {
      const one = plantCommand(numbered, this.model(numbered.entity))
      if (one.codec === one.model.commandCodec(one.commandIndex)) (numbers.get(one.model) as number[])[one.commandIndex] = number
      return one
    })
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
    return this.#numbers.get(model)?.[model.commandIndex(command)] ?? -1
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
