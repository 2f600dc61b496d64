import { readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { messageOf } from '#base/errors.js'
import type { Options } from './command.js'
import { numberOption, usageError } from './number-option.js'
import { textOption } from './place.js'

/** Who to be at a broker, and how to speak with it: what source and target have in common. */
export function mqttOptionsOf(options: Options): {
  readonly name?: string
  readonly clientId?: string
  readonly username?: string
  readonly password?: string
  readonly ca?: string
  readonly cert?: string
  readonly key?: string
  readonly protocolVersion?: 4 | 5
} {
  const passwordFile = textOption(options, 'passwordFile')
  const given = {
    name: textOption(options, 'name'),
    clientId: textOption(options, 'clientId'),
    username: textOption(options, 'username'),
    password: passwordFile === undefined ? undefined : passwordIn(passwordFile),
    ca: pathOption(options, 'ca'),
    cert: pathOption(options, 'cert'),
    key: pathOption(options, 'key'),
    protocolVersion: versionOption(options),
  }
  return Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined))
}

export function pathOption(options: Options, name: string): string | undefined {
  const path = textOption(options, name)
  return path === undefined ? undefined : resolve(path)
}

function versionOption(options: Options): 4 | 5 | undefined {
  const version = numberOption(options, 'mqttVersion')
  if (version === undefined || version === 4 || version === 5) return version
  throw usageError('not a version of MQTT that is spoken here', { '--mqtt-version': version }, 'use 4 (for 3.1.1) or 5')
}

/** The first line, so that the end of line of an editor does not become part of the password. */
function passwordIn(file: string): string {
  try {
    return readFileSync(file, 'utf8').replace(/\r?\n[^]*$/, '')
  } catch (cause) {
    throw usageError(
      'the password file cannot be read',
      { file, error: messageOf(cause) },
      'name a file that holds the password and nothing else',
    )
  }
}
