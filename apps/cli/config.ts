import { KNOBS } from '#runtime/config-schema.js'
import { type Config, loadConfig, showOrigin } from '#runtime/config.js'
import type { Run } from './command.js'

/** Prints every knob with its value and its origin; of a secret only whether it is set. */
export const runConfig: Run = async ([plantFile], options, output) => {
  const configFile = options['config']
  const loaded = loadConfig({
    env: process.env,
    ...(plantFile === undefined ? {} : { plantFile }),
    ...(typeof configFile === 'string' ? { configFile } : {}),
  })
  const rows = [...loaded.origins].map(([path, origin]) => ({ path, value: shownValue(path, loaded.config), origin: showOrigin(origin) }))
  if (output.isJson) {
    output.json(Object.fromEntries(rows.map(({ path, value, origin }) => [path, { value, origin }])))
    return 0
  }
  output.table(
    [{ title: 'key' }, { title: 'value' }, { title: 'origin' }],
    rows.map(({ path, value, origin }) => [path, typeof value === 'string' ? value : JSON.stringify(value), origin]),
  )
  return 0
}

function shownValue(path: string, config: Config): unknown {
  const value = path.split('.').reduce<unknown>((group, name) => (group as Record<string, unknown>)[name], config)
  return KNOBS.get(path)?.isSecret === true && value !== null ? '(set)' : value
}
