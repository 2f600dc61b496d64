import { mkdirSync, readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { packageRoot } from './package-root.js'

export interface DrillRelease {
  /** Of the plant that the drill broke first. */
  readonly plantFile: string
  /** Where releases are kept, each in a folder of its own. */
  readonly folder: string
  /** What the plant runs now. */
  readonly version: string
  /** Whether its handlers throw. */
  readonly isBroken: boolean
}

const WORKING = 'plant.entities'
/** Of all entity types, whatever commands they have. */
const BROKEN = `plant.entities.map((entity) => ({
  ...entity,
  decide: Object.fromEntries(
    Object.keys(entity.decide).map((command) => [command, () => { throw new Error('this release of the drill is broken') }]),
  ),
}))`

/** Writes the next release of a plant, which is the same under a later version; answers its file. */
export function writeDrillRelease({ plantFile, folder, version, isBroken }: DrillRelease): string {
  mkdirSync(folder, { recursive: true, mode: 0o700 })
  const release = join(folder, String(readdirSync(folder).length + 1))
  mkdirSync(release, { mode: 0o700 })
  const [major, minor, patch] = version.split('.').map((part) => Number.parseInt(part, 10))
  const file = join(release, 'plant.mjs')
  writeFileSync(
    file,
    `import plant from '${pathToFileURL(plantFile).href}'
import { definePlant } from '${pathToFileURL(join(packageRoot(), 'dist', 'src', 'index.js')).href}'

export default definePlant({ ...plant, version: '${major}.${minor}.${(patch ?? 0) + 1}', entities: ${isBroken ? BROKEN : WORKING} })
`,
  )
  return file
}
