import { readFileSync } from 'node:fs'
import type { IClientOptions } from 'mqtt'
import { messageOf, MillraceError } from '#base/errors.js'
import { type MqttConnectionOptions, SECURE_PROTOCOLS } from './mqtt-connection.js'
import type { MqttConnect } from './mqtt-link.js'
import { type SourceLog, sourcePath } from './source.js'

/** Credentials and certificates as the client library takes them. Says what is not safe about them. Throws ERR_MQTT_OPTIONS. */
export function mqttCredentials(options: MqttConnectionOptions, url: URL, base: string | undefined, log: SourceLog): IClientOptions {
  const { username, password, ca, cert, key, rejectUnauthorized } = options
  if (password !== undefined && !SECURE_PROTOCOLS.has(url.protocol) && !isLoopback(url.hostname)) {
    log('warn', 'the password goes over the network as it is', { host: url.hostname, next: 'use mqtts' })
  }
  if (rejectUnauthorized === false) {
    log('warn', 'any certificate is taken, so anyone in between can pose as the broker', { host: url.hostname, next: 'give ca instead' })
  }
  return {
    ...(username === undefined ? {} : { username }),
    ...(password === undefined ? {} : { password }),
    ...(ca === undefined ? {} : { ca: pem('ca', ca, base) }),
    ...(cert === undefined ? {} : { cert: pem('cert', cert, base) }),
    ...(key === undefined ? {} : { key: pem('key', key, base) }),
    ...(rejectUnauthorized === undefined ? {} : { rejectUnauthorized }),
  }
}

/** The client library, which takes a tenth of a second to load. */
export async function loadMqttConnect(): Promise<MqttConnect> {
  return (await import('mqtt')).connect
}

function pem(option: string, given: string | URL, base: string | undefined): string {
  if (typeof given === 'string' && given.includes('-----BEGIN ')) return given
  try {
    return readFileSync(sourcePath(given, base), 'utf8')
  } catch (cause) {
    throw new MillraceError('ERR_MQTT_OPTIONS', {
      fact: 'a file for TLS cannot be read',
      action: 'operator',
      values: { [option]: String(given), error: messageOf(cause) },
      next: 'give the path of a PEM file',
      cause,
    })
  }
}

function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '[::1]' || host.startsWith('127.')
}
