/** One entity type for each thing that a state must not depend on, named after what its `apply` does, and one whose `apply` is pure. All take the same events. */
export const IMPURE = `import { randomUUID } from 'node:crypto'
import { defineEntity, definePlant, i32, json, label } from 'millrace'

let calls = 0
const startedMs = Date.now()

const applies = {
  pure: (state, event) => void (state.seen = event.n),
  clock: (state) => void (state.seen = new Date().toISOString()),
  elapsed: (state) => void (state.seen = Date.now() - startedMs < 1000),
  random: (state) => void (state.seen = Math.random() < 0.001),
  uuid: (state) => void (state.seen = randomUUID()),
  zone: (state, event) => void (state.seen = new Date(event.n * 3_600_000).getHours()),
  locale: (state, event) => void (state.seen = event.n.toLocaleString()),
  order: (state, event) => void (state.seen = Object.keys(event.more).join()),
  outside: (state) => void (state.seen = ++calls),
  shared(state) {
    const one = { n: 0 }
    state.both ??= [one, one]
    state.both[0].n++
  },
  process: (state) => void (state.seen = process.pid),
  throws: (state) => void (state.seen = 'stored'),
  amended: (state, event) => void (state.seen = event.n),
  first: (state, event) => void (state.seen = event.n),
}

const entities = Object.entries(applies).map(([name, Odd]) =>
  defineEntity({
    name,
    events: { Even: { n: i32() }, Odd: { n: i32(), code: label(), more: json() } },
    commands: { count: { n: i32() } },
    initial: () => ({ count: 0, seen: name === 'first' ? Date.now() : null }),
    snapshotEvery: 3,
    decide: {
      count(_state, { n }, { emit }) {
        if (n % 2 === 0) emit.Even({ n })
        else emit.Odd({ n, code: 'b', more: { b: 1, a: 2 } })
      },
    },
    apply: {
      Even: (state) => void state.count++,
      Odd,
    },
  }),
)

export default definePlant({ entities })
`

/** The same as it is run later, without a new stateVersion: one `apply` throws, another one does something else. */
export const AMENDED = IMPURE.replace("void (state.seen = 'stored')", "{ throw new Error('now it does') }").replace(
  'amended: (state, event) => void (state.seen = event.n)',
  'amended: (state, event) => void (state.seen = -event.n)',
)
