import type { PlantModel } from '#entity/index.js'
import type { Assignment } from '#processes/control-message.js'
import { type EntitySchema, entitySchemaFromJson, entitySchemaToJson } from '#schema/index.js'

/** What a process tells its supervisor of the code that it has loaded. */
export interface CodeDetails {
  readonly version: string
  readonly pid: number
  /** Of each entity type what `entitySchemaToJson` says. */
  readonly schemas: readonly string[]
}

export function aboutCode({ version, plant }: { readonly version: string; readonly plant: PlantModel }): Readonly<Record<string, unknown>> {
  return { version, pid: process.pid, schemas: plant.schemas.map(entitySchemaToJson) } satisfies CodeDetails
}

/** Numbers the commands of a plant as its supervisor has assigned, where that names codes: those before this one since the plant started, then this one. */
export function numberCommands(plant: PlantModel, assignment: Assignment): void {
  const codes = assignment['codes'] as readonly (readonly string[])[] | undefined
  if (codes !== undefined) plant.number(codes.map(schemasOf))
}

export function schemasOf(schemas: readonly string[]): readonly EntitySchema[] {
  return schemas.map(entitySchemaFromJson)
}
