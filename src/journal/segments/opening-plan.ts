import { type ManifestEntry, type SealedEntry, sealedEntries } from './manifest.js'

/** Names in the log directory: the first position in twelve digits, of a file that repair wrote anew how many there were before it, then what it is. */
const UNSEALED = /^(\d{12,})\.active$/
const SEALED = /^\d{12,}(?:\.(\d+))?\.segment$/
const DRAFT = /^\d{12,}(?:\.\d+)?\.(?:segment|active)(?:\.new)+$/

export function unsealedName(firstPosition: number): string {
  return `${String(firstPosition).padStart(12, '0')}.active`
}

export function sealedName(firstPosition: number): string {
  return `${String(firstPosition).padStart(12, '0')}.segment`
}

/** The name of the file that takes the place of a damaged one. */
export function repairedName(sealed: SealedEntry): string {
  const count = Number(SEALED.exec(sealed.segment)?.[1] ?? 0) + 1
  return `${String(sealed.firstPosition).padStart(12, '0')}.${count}.segment`
}

export function firstPositionOf(name: string): number {
  return Number.parseInt(name, 10)
}

/** What a log directory comes to. */
export interface OpeningPlan {
  /** Sealed segments that are in force, in order. */
  readonly sealed: readonly SealedEntry[]
  /** Names of LMDB environments in force, in order: all but the last wait to be sealed. Empty: one is to be made at `endOfSealed`. */
  readonly unsealed: readonly string[]
  /** Leftovers of a crash: nothing refers to them. */
  readonly remove: readonly string[]
  /** Where rows begin, and where the sealed ones end. */
  readonly firstPosition: number
  readonly endOfSealed: number
  /** Why the log cannot be opened for writing: something is missing. */
  readonly missing: readonly string[]
}

/**
 * Which of the names in a log directory are in force. The manifest decides: a sealed file counts once its entry is durable, and from then on the
 * environment that it was made from does not. So a crash between any two steps of sealing leaves the old or the new, and the other is removed. Pure.
 */
export function planOpening(names: readonly string[], entries: readonly ManifestEntry[]): OpeningPlan {
  const present = new Set(names)
  const dropped = new Set<string>()
  let firstPosition = 0
  for (const entry of entries) {
    if (entry.kind !== 'dropped') continue
    dropped.add(entry.segment)
    firstPosition = Math.max(firstPosition, entry.endPosition)
  }
  const all = sealedEntries(entries)
  const sealed = all.filter(({ segment }) => !dropped.has(segment))
  const inForce = new Set(sealed.map(({ segment }) => segment))
  const replaced = new Set(all.map((entry) => unsealedName(entry.firstPosition)))
  const unsealed: string[] = []
  const remove: string[] = []
  for (const name of names) {
    if (UNSEALED.test(name)) (replaced.has(name) ? remove : unsealed).push(name)
    else if (DRAFT.test(name) || (SEALED.test(name) && !inForce.has(name))) remove.push(name)
  }
  unsealed.sort((a, b) => firstPositionOf(a) - firstPositionOf(b))
  const missing = sealed.filter(({ segment }) => !present.has(segment)).map(({ segment }) => segment)
  const endOfSealed = sealed.reduce((end, entry) => Math.max(end, entry.endPosition), firstPosition)
  missing.push(...gaps(sealed, unsealed, firstPosition))
  return { sealed, unsealed, remove, firstPosition, endOfSealed, missing }
}

/** Where nothing has the positions that should follow. */
function gaps(sealed: readonly SealedEntry[], unsealed: readonly string[], firstPosition: number): string[] {
  const found: string[] = []
  const starts = new Set(unsealed.map(firstPositionOf))
  let next = firstPosition
  for (const entry of sealed) {
    if (entry.firstPosition > next && ![...starts].some((start) => start >= next && start < entry.firstPosition))
      found.push(unsealedName(next))
    next = entry.endPosition
  }
  const [first] = unsealed
  if (first !== undefined && firstPositionOf(first) > next) found.push(unsealedName(next))
  return found
}
