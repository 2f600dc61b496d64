// What tests of a plant need. Depends on no test runner.
export { type Clock, FakeClock } from '#base/clock.js'
export { Prng } from '#base/prng.js'
export { formerEvent, type Given, type GivenEnvelope, given, type Then, type ToldMessage, type When } from '#entity/given.js'
export { checkPurity, type PurityReport } from '#entity/purity.js'
export { type EntityHandle, type InlinePlant, type OpenPlantOptions, openPlant, type SendOptions } from '#runtime/inline-plant.js'
