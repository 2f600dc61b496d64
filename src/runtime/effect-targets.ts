import { MillraceError } from '#base/errors.js'
import type { ConfiguredTarget } from '#effects/effect-runner.js'
import { placeLimits } from '#effects/effect-place.js'
import type { EffectModel } from '#entity/effect.js'
import type { Config } from './config-schema.js'

export type EffectsConfig = Config['effects']

const VARIABLE = /\$\{([A-Za-z_]\w*)\}/g

/**
 * The targets that a plant's effects may go to, with what the environment has for `${NAME}` in their URLs and headers. Throws ERR_CONFIG naming target and variable, and for an effect whose target is not
 * configured.
 */
export function effectTargets(
  { targets, responseBytesMax, ...limits }: EffectsConfig,
  effects: ReadonlyMap<string, EffectModel>,
  env: Readonly<Record<string, string | undefined>>,
): ReadonlyMap<string, ConfiguredTarget> {
  const resolved = Object.entries(targets).map(([name, { url, headers = {}, ...own }]) => {
    const filled = Object.entries(headers).map(([header, value]) => [header, filledIn(name, value, env)])
    const place = placeLimits(limits, own)
    return [
      name,
      { name, url: urlOf(name, filledIn(name, url, env)), headers: Object.fromEntries(filled), responseBytesMax, limits: place },
    ] as const
  })
  const byName = new Map<string, ConfiguredTarget>(resolved)
  for (const [name, { effect }] of effects) {
    if (effect.target === undefined || byName.has(effect.target)) continue
    throw wrongTarget(
      'an effect goes to a target that is not configured',
      { effect: name, target: effect.target },
      `add effects.targets.${effect.target} with its url to millrace.yaml`,
    )
  }
  return byName
}

function filledIn(target: string, text: string, env: Readonly<Record<string, string | undefined>>): string {
  return text.replaceAll(VARIABLE, (_, variable: string) => {
    const value = env[variable]
    if (value !== undefined) return value
    throw wrongTarget(
      'the environment lacks a variable that a target of effects names',
      { target, variable },
      'set it, and start the plant again',
    )
  })
}

/** Its text may hold a secret, so it is not shown. */
function urlOf(target: string, text: string): URL {
  const url = URL.canParse(text) ? new URL(text) : undefined
  if (url !== undefined && /^https?:$/.test(url.protocol) && url.username === '' && url.search === '' && url.hash === '') return url
  throw wrongTarget(
    'not a URL for a target of effects',
    { target },
    'give http:// or https:// with a host and perhaps a path; what only the target should know goes into a header',
  )
}

function wrongTarget(fact: string, values: Readonly<Record<string, unknown>>, next: string): MillraceError {
  return new MillraceError('ERR_CONFIG', { fact, action: 'operator', values, next })
}
