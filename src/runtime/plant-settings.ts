import type { PlantShape } from './channel-plan.js'
import type { Config } from './config-schema.js'

/** What every process of a plant is told at birth. Plain JSON. */
export interface PlantSettings {
  /** Absolute path of the plant module; workers and gateways import it. */
  readonly plantFile: string
  readonly dataDirectory: string
  /** Channels, bells and the process table: in /dev/shm. */
  readonly runtimeDirectory: string
  readonly config: Config
  readonly shape: PlantShape
  /** Of the plant as the supervisor imported it; a process that imports another plant cannot open its channels. */
  readonly schemaHash: number
  /** A seat waits for it: it warms up at once. */
  readonly isAwaited?: boolean
  /** All that the journal knows of the entity types: of each what `entitySchemaToJson` says. */
  readonly schemas: readonly string[]
}
