import { Machine } from '#plant/machine.js'
import { definePlant } from '#runtime/plant-definition.js'

/** The plant that demo and drill run: the example entity type, no sources of its own. */
export default definePlant({ entities: [Machine] })
