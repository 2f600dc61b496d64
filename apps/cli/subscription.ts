import { JournalAccess } from '#runtime/journal-access.js'
import { askJournal } from './ask-journal.js'
import type { Run } from './command.js'
import { positionOption } from './number-option.js'
import { dataDirectoryOf } from './place.js'
import { printSubscriptions, shownSubscriptions } from './subscription-table.js'

/** Prints the named subscriptions: how far each came, and when it was last heard of. */
export const runSubscriptionList: Run = async (_args, options, output) => {
  const access = await JournalAccess.open(dataDirectoryOf(options))
  try {
    const [endPosition, states] = [await access.endPosition(), await access.subscriptions()]
    const subscriptions = shownSubscriptions(states, endPosition)
    if (output.isJson) output.json({ endPosition, subscriptions })
    else if (subscriptions.length === 0) output.line('There are no named subscriptions.')
    else printSubscriptions(subscriptions, output)
    return 0
  } finally {
    await access.close()
  }
}

/** Sets where a subscription goes on, and lifts its fence. */
export const runSubscriptionReset: Run = async ([name = ''], options, output) => {
  const start = positionOption(options, 'to') ?? 'beginning'
  const position = (await askJournal(dataDirectoryOf(options), 'resetSubscription', { name, start })) as number
  if (output.isJson) output.json({ subscription: name, position })
  else output.line(`${name} goes on at position ${position}.`)
  return 0
}

/** Forgets a subscription that nobody reads any more, so that it holds nothing. */
export const runSubscriptionRemove: Run = async ([name = ''], options, output) => {
  await askJournal(dataDirectoryOf(options), 'removeSubscription', { name })
  if (output.isJson) output.json({ subscription: name, isRemoved: true })
  else output.line(`${name} is forgotten.`)
  return 0
}
