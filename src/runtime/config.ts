import { existsSync } from 'node:fs'
import { dirname, join, relative, resolve } from 'node:path'
import { MillraceError } from '#base/errors.js'
import { type Config, configSchema, contradictions, KNOBS } from './config-schema.js'
import { type Origin, readSettings, refused, type Setting, variableSettings } from './config-sources.js'
import { packageRoot } from './package-root.js'

export type { Config } from './config-schema.js'
export { type Origin, showOrigin } from './config-sources.js'

/** The name of a plant's own file, looked for beside its plant file. */
export const CONFIG_FILE_NAME = 'millrace.yaml'

export interface ConfigRequest {
  /** The plant file; without one, millrace.yaml is looked for in the working directory. */
  readonly plantFile?: string
  /** Read instead of the millrace.yaml beside the plant file; must exist. */
  readonly configFile?: string
  /** Variables to look into; `process.env` for a program. */
  readonly env: Readonly<Record<string, string | undefined>>
}

export interface LoadedConfig {
  readonly config: Config
  /** Of every knob, by its path, in the order of the schema. */
  readonly origins: ReadonlyMap<string, Origin>
  /** The plant's own file, if there is one. */
  readonly file: string | undefined
}

/**
 * Reads config/default.yaml, then the plant's file, then variables; the later one holds. Throws ERR_CONFIG (action `operator`) naming file
 * and line, or the variable, for a key that does not exist, a value out of bounds, and values that contradict each other. Paths of TLS
 * files come out absolute, from the folder of the file that named them, or from the working directory for a variable.
 */
export function loadConfig(request: ConfigRequest): LoadedConfig {
  const file = plantConfigFile(request)
  const shown = file === undefined ? '' : relative(process.cwd(), file).startsWith('..') ? file : relative(process.cwd(), file)
  const settings = [
    ...readSettings(defaultsFile(), (line) => ({ kind: 'default', line })),
    ...(file === undefined ? [] : readSettings(file, (line) => ({ kind: 'file', file: shown, line }))),
    ...variableSettings(request.env),
  ]
  const held = new Map<string, Setting>()
  for (const setting of settings) held.set(setting.path, checked(setting, file))

  const config = configSchema.parse(nested([...held.values()]))
  const origins = new Map([...KNOBS.keys()].map((path) => [path, originOf(path)]))
  const wrong = contradictions(config)[0]
  if (wrong !== undefined)
    throw refused(wrong.wrong, originOf(wrong.path), { key: wrong.path, value: held.get(wrong.path)?.value }, 'change one of them')
  return { config, origins, file }

  function originOf(path: string): Origin {
    const origin = held.get(path)?.origin
    if (origin === undefined)
      throw new MillraceError('ERR_CONFIG', { fact: 'config/default.yaml lacks a knob', action: 'operator', values: { path } })
    return origin
  }
}

export function defaultsFile(): string {
  return join(packageRoot(), 'config', 'default.yaml')
}

function plantConfigFile(request: ConfigRequest): string | undefined {
  if (request.configFile !== undefined) return resolve(request.configFile)
  const file = resolve(request.plantFile === undefined ? '.' : dirname(request.plantFile), CONFIG_FILE_NAME)
  return existsSync(file) ? file : undefined
}

/** The setting with its value as the program has it: bytes, milliseconds, absolute paths. */
function checked(setting: Setting, file: string | undefined): Setting {
  const knob = KNOBS.get(setting.path)
  const result = knob?.schema.safeParse(setting.value)
  if (knob === undefined || result === undefined || !result.success) {
    const issue = result?.error?.issues[0]?.message ?? 'unknown'
    const values = { key: setting.path, ...(knob?.isSecret === true ? {} : { value: setting.value }) }
    throw refused(
      'not a value for this key',
      setting.origin,
      values,
      issue.replace(/^./, (letter) => letter.toLowerCase()),
    )
  }
  const isPath = (setting.path.startsWith('http.tls.') || setting.path === 'retention.archive') && typeof result.data === 'string'
  const folder = setting.origin.kind === 'file' && file !== undefined ? dirname(file) : '.'
  return { ...setting, value: isPath ? resolve(folder, String(result.data)) : result.data }
}

function nested(settings: readonly Setting[]): Record<string, unknown> {
  const root: Record<string, unknown> = {}
  for (const { path, value } of settings) {
    const names = path.split('.')
    let group = root
    for (const name of names.slice(0, -1)) group = (group[name] ??= {}) as Record<string, unknown>
    group[names.at(-1) ?? ''] = value
  }
  return root
}
