import { Bell } from './bell.js'
import { CELLS, Line, Tool } from './line.js'
import { Trap } from './trap.js'

/** What the plant that drills break has besides machines: no device knows of these, only drills send to them. */
export const DRILLED = [Trap, Bell, Line, ...Object.values(CELLS), Tool] as const
