import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { packageRoot } from '#runtime/package-root.js'

/**
 * Writes lamps.mjs, a plant whose lamps have a page sent for each number that they light, as a user would write it over the compiled package, and millrace.yaml beside it, with its target at
 * `url`. Answers the path of the plant.
 */
export function writeEffectPlant(directory: string, url: string): string {
  const entry = pathToFileURL(join(packageRoot(), 'dist', 'src', 'index.js')).href
  const file = join(directory, 'lamps.mjs')
  writeFileSync(
    join(directory, 'millrace.yaml'),
    `effects:
  targets:
    pager: { url: '${url}', headers: { authorization: 'Bearer \${PAGER_TOKEN}' } }
  timeoutMs: 200ms
  retryMs: 5ms
  retryMsMax: 50ms
`,
  )
  writeFileSync(
    file,
    `import { answer, defineEntity, definePlant, httpPost, i64, label } from '${entry}'

const Page = httpPost({ name: 'page', target: 'pager', path: ({ id }) => '/pages/' + id, fields: { id: i64() } })

const Lamp = defineEntity({
  name: 'lamp',
  effects: [Page],
  events: { Lit: { id: i64() }, Heard: { outcome: label() } },
  commands: { light: { id: i64() }, onPaged: answer() },
  initial: () => ({ lit: 0, heard: 0 }),
  decide: {
    light(_, { id }, { emit, effect }) {
      emit.Lit({ id })
      effect(Page, { id }, { answer: 'onPaged' })
    },
    onPaged: (_, { outcome }, { emit }) => emit.Heard({ outcome }),
  },
  apply: { Lit: (state, { id }) => void (state.lit = id), Heard: (state) => void state.heard++ },
})

export default definePlant({ entities: [Lamp] })
`,
  )
  return file
}
