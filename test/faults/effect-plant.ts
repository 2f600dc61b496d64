import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { packageRoot } from '#runtime/package-root.js'

/** Of lamps that have a page sent for each number that they light, as a user would write it over the package at `entry`. */
export function effectPlantText(entry = 'millrace'): string {
  return `import { answer, defineEntity, definePlant, httpPost, i64, label } from '${entry}'

const Page = httpPost({ name: 'page', target: 'pager', path: ({ id }) => '/pages/' + id, fields: { id: i64() } })

const Lamp = defineEntity({
  name: 'lamp',
  effects: [Page],
  events: { Lit: { id: i64() }, Heard: { outcome: label() } },
  commands: { light: { id: i64() }, onPaged: answer() },
  initial: () => ({ lit: 0, heard: [] }),
  decide: {
    light(_, { id }, { emit, effect }) {
      emit.Lit({ id })
      effect(Page, { id }, { answer: 'onPaged' })
    },
    onPaged: (_, { outcome }, { emit }) => emit.Heard({ outcome }),
  },
  apply: {
    Lit: (state, { id }) => void (state.lit = id),
    Heard(state, { outcome }) {
      state.heard = [...state.heard.slice(-9), outcome]
    },
  },
})

export default definePlant({ entities: [Lamp] })
`
}

/** Beside it: where its pager is. */
export function effectPlantConfig(url: string): string {
  return `effects:
  targets:
    pager: { url: '${url}', headers: { authorization: 'Bearer \${PAGER_TOKEN}' } }
  timeoutMs: 200ms
  retryMs: 5ms
  retryMsMax: 50ms
`
}

/** Writes both over the compiled package, and answers the path of the plant. */
export function writeEffectPlant(directory: string, url: string): string {
  const file = join(directory, 'lamps.mjs')
  writeFileSync(join(directory, 'millrace.yaml'), effectPlantConfig(url))
  writeFileSync(file, effectPlantText(pathToFileURL(join(packageRoot(), 'dist', 'src', 'index.js')).href))
  return file
}
