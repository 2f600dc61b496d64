import { isDeepStrictEqual } from 'node:util'
import type { Meanwhile, Schedule, Step } from './schedule.js'

/** Runs of a schedule that shrinking may take. */
const RUNS_MAX = 3000

/**
 * The shortest schedule that can be found of those that are part of one that fails and fail too: parts of the steps are left out, at first large ones, then single ones
 * (Zeller and Hildebrandt 2002), then what happens within steps, until nothing more can go. `fails` runs one.
 */
export async function shrink(schedule: Schedule, fails: (schedule: Schedule) => Promise<boolean>): Promise<Schedule> {
  let shortest = schedule
  let runs = 0
  const tryOne = async (steps: readonly Step[]): Promise<boolean> => {
    if (runs++ >= RUNS_MAX) return false
    const candidate = { ...schedule, steps }
    if (!(await fails(candidate))) return false
    shortest = candidate
    return true
  }
  for (let before: Schedule | undefined; !isDeepStrictEqual(before, shortest) && runs < RUNS_MAX; ) {
    before = shortest
    for (let size = Math.ceil(shortest.steps.length / 2); size >= 1; size = size === 1 ? 0 : Math.ceil(size / 2)) {
      for (let end = shortest.steps.length; end > 0; end -= size) {
        const { steps } = shortest
        await tryOne([...steps.slice(0, Math.max(0, end - size)), ...steps.slice(end)])
      }
    }
    for (let index = 0; index < shortest.steps.length; index++) {
      for (const simpler of simplerThan(shortest.steps[index] as Step)) {
        if (await tryOne(shortest.steps.with(index, simpler))) break
      }
    }
  }
  return shortest
}

/** The same step with less of it, the simplest first. */
function simplerThan(step: Step): Step[] {
  if (step.do === 'send') {
    const { drafts } = step
    const halves = drafts.length < 2 ? [] : [drafts.slice(0, drafts.length / 2), drafts.slice(drafts.length / 2), drafts.slice(1)]
    return halves.map((some) => ({ ...step, drafts: some }))
  }
  if (step.do === 'disk' || step.do === 'round')
    return step.count > 1
      ? [
          { ...step, count: 1 },
          { ...step, count: step.count - 1 },
        ]
      : []
  if (step.do !== 'turn' || step.meanwhile === undefined) return []
  const { role, slot, meanwhile } = step
  const fewer = meanwhile.map((_, index): Step => ({ ...step, meanwhile: meanwhile.filter((__, other) => other !== index) }))
  const inner = meanwhile.flatMap((one, index) =>
    simplerThan(one.step).map(
      (simpler): Step => ({ ...step, meanwhile: meanwhile.with(index, { ...one, step: simpler } satisfies Meanwhile) }),
    ),
  )
  return [{ do: 'turn', role, slot }, ...(meanwhile.length > 1 ? fewer : []), ...inner]
}
