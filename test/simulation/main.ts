import { register } from 'node:module'

register('./hooks.js', import.meta.url)
const { simulate } = await import('./simulate.js')
process.exitCode = await simulate(process.argv.slice(2), (text) => process.stdout.write(text))
