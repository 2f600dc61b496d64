/** Writes config/config.schema.json from the configuration's own schema and the comments of config/default.yaml. */
import { writeFileSync } from 'node:fs'
import { setUp } from './setup.mjs'

await setUp(['install', 'compile'])
const { configJsonSchema } = await import('../dist/src/runtime/config-json-schema.js')
writeFileSync(new URL('../config/config.schema.json', import.meta.url), `${JSON.stringify(configJsonSchema(), null, 2)}\n`)
