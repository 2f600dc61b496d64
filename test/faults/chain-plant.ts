import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { packageRoot } from '#runtime/package-root.js'

/** How many relays hand each number on. */
export const CHAIN_LENGTH = 10

/**
 * Writes chain.mjs, a plant of relays as a user would write it over the compiled package, and answers its path. Each relay takes a number and tells the next one; the last one
 * also asks the first whether it has it, and sets a timer.
 */
export function writeChainPlant(directory: string): string {
  const entry = pathToFileURL(join(packageRoot(), 'dist', 'src', 'index.js')).href
  const file = join(directory, 'chain.mjs')
  writeFileSync(
    file,
    `import { answer, defineEntity, definePlant, i64, label } from '${entry}'

const Relay = defineEntity({
  name: 'relay',
  events: { Took: { id: i64() }, Heard: { id: i64(), outcome: label() }, Rang: { id: i64() } },
  commands: { pass: { id: i64() }, has: { id: i64() }, onHas: answer(), ring: { id: i64() } },
  initial: () => ({ highest: 0, asked: {} }),
  decide: {
    pass(_, { id }, { emit, tell, ask, after, entity }) {
      emit.Took({ id })
      const place = Number(entity.slice('relay/'.length))
      if (place + 1 < ${CHAIN_LENGTH}) return void tell(Relay, String(place + 1)).pass({ id })
      ask(Relay, '0').has({ id }, { timeoutMs: 600_000, answer: 'onHas' })
      after(25, 'ring', { id })
    },
    has: (state, { id }) => ({ id, has: state.highest >= id }),
    onHas(_, { outcome, reply }, { emit }) {
      emit.Heard({ id: reply?.id ?? 0, outcome: reply?.has === true ? outcome : 'wrong' })
    },
    ring: (_, { id }, { emit }) => emit.Rang({ id }),
  },
  apply: {
    Took: (state, { id }) => void (state.highest = id),
    Heard: () => undefined,
    Rang: () => undefined,
  },
})

export default definePlant({ entities: [Relay] })
`,
  )
  return file
}
