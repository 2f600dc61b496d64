// Takes a data directory as a plant does, says so, and holds it until it is killed. Argument: the directory.
import { mkdirSync } from 'node:fs'
import { takeDataDirectory } from '#processes/plant-lock.js'

const [directory] = process.argv.slice(2)
mkdirSync(directory, { recursive: true })
takeDataDirectory(directory)
process.stdout.write('held\n')
setInterval(() => {}, 1000)
