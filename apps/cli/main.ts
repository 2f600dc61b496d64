#!/usr/bin/env node
import { COMMANDS, GROUPS } from './commands.js'
import { runProgram } from './program.js'
import { endOnClosedPipe, endOnInterrupt } from './signals.js'

endOnInterrupt()
endOnClosedPipe()
process.exitCode = await runProgram(process.argv.slice(2), { commands: COMMANDS, groups: GROUPS, env: process.env })
