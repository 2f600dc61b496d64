import { Machine } from '#plant/machine.js'
import { Trap } from '#plant/trap.js'
import { definePlant } from '#runtime/plant-definition.js'

/** The plant that drills break: the one of the demo, and something that its workers end over. */
export default definePlant({ version: '1.0.0', entities: [Machine, Trap] })
