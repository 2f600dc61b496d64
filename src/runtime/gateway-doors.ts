import { existsSync, readFileSync } from 'node:fs'
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

export function readGatewayDoors(dataDirectory: string): GatewayDoors | undefined {
  const path = pathOf(dataDirectory)
  return existsSync(path) ? (JSON.parse(readFileSync(path, 'utf8')) as GatewayDoors) : undefined
}

function pathOf(dataDirectory: string): string {
  return join(dataPaths(dataDirectory).run, 'gateway.json')
}
