import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { replaceFileSync } from '#processes/durable-file.js'
import { dataPaths } from './data-directory.js'

/** Where the gateway of a running plant can be reached, as it says itself. Of a dead plant it may be old. */
export interface GatewayDoors {
  /** `http://127.0.0.1:8080` */
  readonly http: string
}

export function writeGatewayDoors(dataDirectory: string, doors: GatewayDoors): void {
  replaceFileSync(pathOf(dataDirectory), `${JSON.stringify(doors)}\n`)
}

/** Undefined when no gateway has opened its doors yet, or its word cannot be read. */
export function readGatewayDoors(dataDirectory: string): GatewayDoors | undefined {
  try {
    const doors = JSON.parse(readFileSync(pathOf(dataDirectory), 'utf8')) as Partial<GatewayDoors> | null
    return typeof doors?.http === 'string' && URL.canParse(doors.http) ? { http: doors.http } : undefined
  } catch {
    return undefined
  }
}

/** The port that the predecessor of a gateway had: with `http.port: 0` its successor takes the same, so that clients find it again. */
export function predecessorPort(dataDirectory: string): number | undefined {
  const doors = readGatewayDoors(dataDirectory)
  const port = doors === undefined ? 0 : Number(new URL(doors.http).port)
  return port === 0 ? undefined : port
}

function pathOf(dataDirectory: string): string {
  return join(dataPaths(dataDirectory).run, 'gateway.json')
}
