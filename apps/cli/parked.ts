import { isoMicros } from '#base/micros.js'
import type { EntityId } from '#base/ids.js'
import { connectDoor } from '#runtime/door-access.js'
import { unpackExact } from '#runtime/exact-pack.js'
import { ParkedCommands, retrySource } from '#runtime/parked-commands.js'
import { PlantSession, WITHOUT_SPARES } from '#runtime/plant-session.js'
import type { Run } from './command.js'
import type { Output } from './output.js'
import { dataDirectoryOf, placeOf } from './place.js'
import { printAnswer, sendTo } from './send-command.js'

/** Shows the commands that ended one worker after the other, and what became of each worker. */
export function showParked(dataDirectory: string, output: Output): void {
  const all = new ParkedCommands(dataDirectory)
  const [parked, unreadable] = [all.list(), all.unreadable()]
  if (output.isJson) {
    output.json({ parked, unreadable })
    return
  }
  for (const path of unreadable) output.line(`A parked command cannot be read: ${path}`)
  if (parked.length === 0) {
    if (unreadable.length > 0) return

    output.line('No command is parked.')
    return
  }
  output.table(
    [
      { title: 'id' },
      { title: 'parked' },
      { title: 'entity' },
      { title: 'command' },
      { title: 'source' },
      { title: 'ended its workers by' },
    ],
    parked.map((one) => [
      one.id,
      isoMicros(one.parkedAt),
      one.entity,
      `${one.command} ${JSON.stringify(one.data)}`,
      one.source === '' ? '-' : `${one.source} ${one.sequence}`,
      one.causes.join(', '),
    ]),
  )
  output.line('`millrace parked retry ID` sends one again, `millrace parked discard ID` forgets it.')
}

/** Sends a parked command again, as a new one; it is parked no longer once it is done or refused. Exit code 1 when it is not done. */
export const runParkedRetry: Run = async ([id = ''], options, output) => {
  const parked = new ParkedCommands(dataDirectoryOf(options))
  const one = parked.get(id)
  const session = await PlantSession.open({ ...placeOf(options), env: WITHOUT_SPARES })
  try {
    const door = await connectDoor(session.dataDirectory)
    try {
      const { entity, command, packed, at, retry } = one
      const data = unpackExact<Record<string, unknown>>(packed)
      const answer = await sendTo(door, { source: retrySource(id), sequence: retry, entity: entity as EntityId, command, data, at })
      if (answer.error === undefined) parked.remove(id)
      else parked.failed(id)
      printAnswer(answer, output)
      return answer.ok ? 0 : 1
    } finally {
      await door.close()
    }
  } finally {
    await session.close()
  }
}

/** Forgets a parked command for good. */
export const runParkedDiscard: Run = async ([id = ''], options, output) => {
  const parked = new ParkedCommands(dataDirectoryOf(options))
  const { entity, command, data } = parked.get(id)
  parked.remove(id)
  if (output.isJson) output.json({ id, isDiscarded: true })
  else output.line(`${command} ${JSON.stringify(data)} to ${entity} is forgotten.`)
  return 0
}
