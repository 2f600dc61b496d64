import { DRILLED } from '#plant/drilled.js'
import { Machine } from '#plant/machine.js'
import { definePlant } from '#runtime/plant-definition.js'

/** The plant that drills break: the one of the demo, and what they try out besides. */
export default definePlant({ version: '1.0.0', entities: [Machine, ...DRILLED] })
