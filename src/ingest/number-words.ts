import type { PlantModel } from '#entity/index.js'
import type { IngestCommand } from './door.js'

/** What exact JSON writes where JSON has no number. */
const WORDS: ReadonlyMap<unknown, number> = new Map([
  ['NaN', Number.NaN],
  ['Infinity', Number.POSITIVE_INFINITY],
  ['-Infinity', Number.NEGATIVE_INFINITY],
])

/** Reads back what exact JSON wrote: in fields that hold doubles the texts NaN, Infinity and -Infinity are these numbers. */
export class NumberWords {
  readonly #plant: PlantModel

  constructor(plant: PlantModel) {
    this.#plant = plant
  }

  /** The same command when there is nothing to read, or when it is none of the plant's. */
  read(command: IngestCommand): IngestCommand {
    if (!Object.values(command.data).some((value) => WORDS.has(value))) return command
    const floats = this.#floatsOf(command)
    const entries = Object.entries(command.data).map(
      ([name, value]) => [name, floats.has(name) ? (WORDS.get(value) ?? value) : value] as const,
    )
    return { ...command, data: Object.fromEntries(entries) }
  }

  #floatsOf({ entity, command }: IngestCommand): ReadonlySet<string> {
    const type = entity.includes('/') ? entity.slice(0, entity.indexOf('/')) : ''
    const schema = this.#plant.model(type)?.schema.commands.find((one) => one.command === command)
    return new Set(schema?.fields.filter(({ kind }) => kind === 'f64' || kind === 'f32').map(({ name }) => name))
  }
}
