// What tests of a plant need. Depends on no test runner.
export { type Given, type GivenEnvelope, given, type Then, type When } from '#entity/given.js'
export { checkPurity, type PurityReport } from '#entity/purity.js'
