import type { EntityId } from '#base/ids.js'
import { decodeCanonical } from '#entity/index.js'
import { type StateDifference, stateDifferences } from '#entity/state-difference.js'
import type { EventType } from '#journal/index.js'
import type { FoldFault } from './check-fold.js'
import { Explainer } from './explainer.js'
import { type Condition, REMARKS } from './fold-conditions.js'
import type { JournalAccess } from './journal-access.js'
import type { FirstDifference, FirstFault, TwoFolds } from './two-folds.js'

/** The first thing of its kind that is wrong with the code of an entity type, or with what is stored of it. */
export interface CodeProblem {
  /** `differs`: the same events come to different states. */
  readonly kind: 'differs' | FoldFault['kind']
  readonly type: string
  readonly entity: EntityId
  /** Of the entity behind the event; 0 for the state before the first. */
  readonly version: number
  /** `initial` for the state before the first; null for what is not about an event. */
  readonly event: string | null
  /** What the state depends on; empty where only several of them together change it. */
  readonly conditions: readonly Condition[]
  readonly fields: readonly StateDifference[]
  readonly message: string
  /** Of the type, that have such a problem. */
  readonly entities: number
  /** What to do. */
  readonly next: string
}

export interface ProblemContext {
  readonly access: JournalAccess
  readonly dataDirectory: string
  readonly plantFile: string
  readonly types: readonly EventType[]
  readonly endPosition: number
}

const FIELDS_MAX = 5

const NEXT: Readonly<Record<FoldFault['kind'], string>> = {
  throws: 'mend apply, or the upcaster: as long as it throws, no worker can load the entity',
  'not-plain': 'keep plain data in the state: no snapshot can be made of it',
  unreadable: 'start the plant once: it names what does not fit, and what to declare',
  'rows-missing': 'run millrace log verify on the data directory',
  'snapshot-damaged': 'replay passes it over; run millrace log verify on the data directory',
  snapshot:
    'when apply was changed, raise stateVersion, so that snapshots are made anew; otherwise the state depends on more than its events',
}

/** Finds out what is behind the differences, folding the entities in question again with one condition changed at a time. */
export async function describeProblems(folds: TwoFolds, context: ProblemContext): Promise<readonly CodeProblem[]> {
  if (folds.isSame) return []
  const explainer = new Explainer(context)
  try {
    const problems: CodeProblem[] = []
    for (const difference of folds.differences) problems.push(await describeDifference(difference, explainer))
    const differing = new Set(folds.differences.map(({ type }) => type))
    // Of a type that depends on more than its events, snapshots can only differ.
    const faults = folds.faults.filter(({ kind, type }) => kind !== 'snapshot' || !differing.has(type))
    for (const fault of faults) problems.push(await describeFault(fault, explainer, context))
    return problems
  } finally {
    await explainer.close()
  }
}

async function describeDifference(difference: FirstDifference, explainer: Explainer): Promise<CodeProblem> {
  const { type, entity, entities } = difference
  const { version, event, conditions, expected, got } = await explainer.explain(difference)
  const isSeenAlone = expected !== undefined || got !== undefined
  const together = isSeenAlone
    ? ['several things together']
    : ['something that shows only beside other entities, as a variable outside of it']
  const on = conditions.length === 0 ? together : conditions.map((one) => REMARKS[one].on)
  const advice = conditions.length === 0 ? ['let apply look at state and event alone'] : conditions.map((one) => REMARKS[one].advice)
  return {
    kind: 'differs',
    type,
    entity,
    version,
    event,
    conditions,
    fields: fieldsOf(expected, got),
    message: `its state depends on ${on.join(' and on ')}`,
    entities,
    next: advice.join('; '),
  }
}

async function describeFault(fault: FirstFault, explainer: Explainer, { access }: ProblemContext): Promise<CodeProblem> {
  const { kind, type, entity, version, message, entities } = fault
  const event = fault.event ?? null
  const isSnapshot = kind === 'snapshot'
  const fields = isSnapshot ? fieldsOf(await explainer.stateAt(entity, version), await explainer.snapshotAt(access, entity, version)) : []
  return { kind, type, entity, version, event, conditions: [], fields, message, entities, next: NEXT[kind] }
}

/** Of canonical encodings; a text is what was thrown instead. */
function fieldsOf(expected: Uint8Array | string | undefined, got: Uint8Array | string | undefined): readonly StateDifference[] {
  if (expected === undefined || got === undefined) return []
  if (typeof expected !== 'string' && typeof got !== 'string') {
    return stateDifferences(decodeCanonical(expected), decodeCanonical(got), FIELDS_MAX)
  }
  const shown = (one: Uint8Array | string): string => (typeof one === 'string' ? one : 'a state')
  return [{ path: 'state', expected: shown(expected), got: shown(got) }]
}
