import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { packageRoot } from '#runtime/package-root.js'

const MAP = `format: json
time: { path: ts, format: unix-ms }
entity: { type: press, name: { topic: 1 } }
command: sample
sequence: { path: seq }
fields:
  number: { path: seq, kind: i64 }
  temperature: { path: temperature }
`

/**
 * Writes press.map.yaml and plant.mjs, a plant of presses as a user would write it over the compiled package, and answers the plant's path. With
 * `mqtt` options it listens to a broker, with those of a `target` it publishes to one.
 */
export function writePressPlant(directory: string, mqtt?: object, target?: object): string {
  const entry = pathToFileURL(join(packageRoot(), 'dist', 'src', 'index.js')).href
  writeFileSync(join(directory, 'press.map.yaml'), MAP)
  const file = join(directory, 'plant.mjs')
  const sources = mqtt === undefined ? '[]' : `[mqtt(${JSON.stringify({ map: './press.map.yaml', ...mqtt })})]`
  const targets = target === undefined ? '[]' : `[mqttTarget(${JSON.stringify(target)})]`
  writeFileSync(
    file,
    `import { defineEntity, definePlant, f64, i64, mqtt, mqttTarget } from '${entry}'

const Press = defineEntity({
  name: 'press',
  events: { Sampled: { number: i64(), temperature: f64('°C') } },
  commands: { sample: { number: i64(), temperature: f64('°C') } },
  initial: () => ({ count: 0 }),
  decide: {
    sample(_state, command, { emit, refuse }) {
      if (command.temperature > 1000) return refuse('MELTED')
      emit.Sampled(command)
    },
  },
  apply: { Sampled: (state) => void state.count++ },
})

export default definePlant({ entities: [Press], sources: ${sources}, targets: ${targets} })
`,
  )
  return file
}
