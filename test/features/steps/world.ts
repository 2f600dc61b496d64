import { AfterAll, setWorldConstructor } from 'quickpickle'
import { endSharedPlant, OperatorWorld } from '../operator-world.js'

setWorldConstructor(OperatorWorld)

AfterAll(endSharedPlant)
