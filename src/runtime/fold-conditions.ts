import type { World } from '#entity/changed-world.js'
import type { CopyKind } from './check-fold.js'

/** What a state may not depend on, as `code check` names it. */
export type Condition = 'clock' | 'random numbers' | 'time zone' | 'locale' | 'process' | Exclude<CopyKind, 'order and snapshot'>

/** Where a process folds: what its clocks and random numbers say, and what stands in its environment. */
export interface FoldPlace {
  readonly world: World
  readonly env: Readonly<Record<string, string>>
}

/** In hours and minutes the zones are never the same, and seldom in days. Letters, digits, separators and calendars differ between the locales. */
const ZONE = 'Pacific/Marquesas'
const LOCALE = 'tr_TR.UTF-8'

export const USUAL_PLACE: FoldPlace = { world: { clock: 'still', random: 'least' }, env: { TZ: ZONE, LC_ALL: LOCALE } }

const CHANGES = {
  clock: { world: { clock: 'ahead' }, env: {} },
  'random numbers': { world: { random: 'greatest' }, env: {} },
  'time zone': { world: {}, env: { TZ: 'Pacific/Tarawa' } },
  locale: { world: {}, env: { LC_ALL: 'fa_IR.UTF-8' } },
} as const satisfies Readonly<Partial<Record<Condition, FoldPlace>>>

/** Everything is another thing. */
export const OTHER_PLACE: FoldPlace = Object.values(CHANGES).reduce(changed, USUAL_PLACE)

/** One thing is another. `process`: nothing is, but the process. */
export const PLACES: Readonly<Partial<Record<Condition, FoldPlace>>> = {
  ...Object.fromEntries(Object.entries(CHANGES).map(([condition, change]) => [condition, changed(USUAL_PLACE, change)])),
  process: USUAL_PLACE,
}

/** Conditions that a fold tries by itself, on copies of the state. */
export const COPIES = ['property order', 'snapshot', 'repetition'] as const satisfies readonly (Condition & CopyKind)[]

export const CONDITIONS: readonly Condition[] = [...(Object.keys(PLACES) as Condition[]), ...COPIES]

/** What a state depends on, in words, and what to do about it. */
export const REMARKS: Readonly<Record<Condition, { readonly on: string; readonly advice: string }>> = {
  clock: {
    on: 'the clock',
    advice: 'take the time from the event, not from the clock: decide knows it as `at` and can emit it in a time() field',
  },
  'random numbers': {
    on: 'random numbers',
    advice: 'take the number from the event: draw it where the command is made, and emit it in a field',
  },
  'time zone': { on: 'the time zone', advice: 'use the UTC functions of Date, or name the time zone' },
  locale: {
    on: 'the locale',
    advice: "name the locale, as in toLocaleString('en-US'), or keep numbers in the state and format them where they are shown",
  },
  process: {
    on: 'the process that folds',
    advice: 'take from the event what comes from the process: its id, its environment, its memory, other code in it',
  },
  'property order': { on: 'the order of properties', advice: 'sort the keys where their order matters, or keep a list or a Map' },
  snapshot: {
    on: 'whether it was read back from a snapshot',
    advice: 'copy what is put into two places of the state: behind a snapshot these are two objects',
  },
  repetition: {
    on: 'something outside of the state',
    advice: 'keep everything in the state: a variable beside it has another value in another process, and behind a restart',
  },
}

/** Without those that show only since something shows wherever it is applied again, or in whichever process. */
export function causesOf(conditions: readonly Condition[]): readonly Condition[] {
  const isOwn = (condition: Condition): boolean => {
    if (COPIES.some((copy) => copy === condition)) return condition === 'repetition' || !conditions.includes('repetition')
    return condition === 'process' || !conditions.includes('process')
  }
  return conditions.filter(isOwn)
}

function changed(place: FoldPlace, { world, env }: FoldPlace): FoldPlace {
  return { world: { ...place.world, ...world }, env: { ...place.env, ...env } }
}
