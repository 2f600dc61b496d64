import { createInterface } from 'node:readline/promises'
import { MillraceError } from '#base/errors.js'
import { type GoneRows, repairDataDirectory, type RepairPlan } from '#runtime/log-repair.js'
import type { Run } from './command.js'
import type { Output } from './output.js'
import { dataDirectoryOf } from './place.js'

const ENTITIES_SHOWN = 50
const STRETCHES_SHOWN = 20

/** Fences what is damaged in the log of a stopped plant, after telling which events are gone. Exit code 1 where damage stays. */
export const runLogRepair: Run = async (_args, options, output) => {
  const dataDirectory = dataDirectoryOf(options)
  const isDryRun = options['dryRun'] === true
  const { plan, isDone } = await repairDataDirectory(dataDirectory, async (found) => {
    if (!output.isJson) show(found, output)
    if (isDryRun || !hasWork(found)) return false
    return options['yes'] === true || (await isConfirmed())
  })
  if (output.isJson) output.json({ ok: plan.beyond.length === 0 && (isDone || !hasWork(plan)), repaired: isDone, ...plan })
  else if (isDone) output.line('Repaired. What was damaged is kept in the folder journal/damaged; run millrace log verify now.')
  else if (isDryRun && hasWork(plan)) output.line('Nothing was changed. Without --dry-run this is what would be done.')
  return plan.beyond.length === 0 && (isDone || !hasWork(plan)) ? 0 : 1
}

function hasWork({ rewritten, givenUp }: RepairPlan): boolean {
  return rewritten.length + givenUp.length > 0
}

function show(plan: RepairPlan, output: Output): void {
  const { rewritten, gone, givenUp, beyond } = plan
  for (const segment of rewritten) output.line(`segment ${segment} is written anew`)
  for (const rows of gone) showGone(rows, output)
  for (const what of givenUp) output.line(`given up, and damaged in the catalog: ${what}`)
  for (const { segment, block, what } of beyond)
    output.line(`beyond repair: segment ${segment}${block === undefined ? '' : ` block ${block}`}: ${what}; restore a backup`)
  if (!hasWork(plan) && beyond.length === 0) output.line('The log is whole; there is nothing to repair.')
}

function showGone({ segment, firstPosition, endPosition, entities, positions, undecided = [] }: GoneRows, output: Output): void {
  const stretches = positions ?? [[firstPosition, endPosition - 1] as const]
  const count = stretches.reduce((sum, [first, last]) => sum + last - first + 1, 0)
  const shown = stretches.slice(0, STRETCHES_SHOWN).map(([first, last]) => (first === last ? `${first}` : `${first} to ${last}`))
  if (stretches.length > STRETCHES_SHOWN) shown.push(`more up to ${endPosition - 1}: all of them with --json`)
  output.line(`gone: segment ${segment}, ${count === 1 ? '1 event' : `${count} events`}, positions ${shown.join(', ')}`)
  for (const { entity, from, to } of entities.slice(0, ENTITIES_SHOWN))
    output.line(`  ${entity}: ${from === to ? `version ${from}` : `versions ${from} to ${to}`}`)
  if (entities.length > ENTITIES_SHOWN) output.line(`  and more of ${entities.length - ENTITIES_SHOWN}: all of them with --json`)
  if (undecided.length === 0) return
  const named = undecided.slice(0, ENTITIES_SHOWN).join(', ')
  const more = undecided.length > ENTITIES_SHOWN ? `, and ${undecided.length - ENTITIES_SHOWN} more: all of them with --json` : ''
  output.line(`  nobody can tell whether these lost events as well, and they go on as of the one before: ${named}${more}`)
}

/** On a terminal only: a script has to say --yes. */
async function isConfirmed(): Promise<boolean> {
  if (!process.stdin.isTTY || !process.stdout.isTTY) {
    throw new MillraceError('ERR_USAGE', {
      fact: 'repair gives events up for good, and nobody is there to confirm it',
      action: 'operator',
      next: 'look with --dry-run, then say --yes',
    })
  }
  const asked = createInterface({ input: process.stdin, output: process.stdout })
  try {
    return (await asked.question('Give these up for good? Type yes: ')).trim() === 'yes'
  } finally {
    asked.close()
  }
}
