import { isoMicros } from '#base/micros.js'
import type { EntityId } from '#base/ids.js'
import { callControl } from '#processes/control-client.js'
import { dataPaths } from '#runtime/data-directory.js'
import { connectDoor } from '#runtime/door-access.js'
import { unpackExact } from '#runtime/exact-pack.js'
import { ParkedCommands, retrySource } from '#runtime/parked-commands.js'
import { PlantSession, WITHOUT_SPARES } from '#runtime/plant-session.js'
import type { Run } from './command.js'
import type { Output } from './output.js'
import { dataDirectoryOf, placeOf } from './place.js'
import { printAnswer, type SendAnswer, sendTo } from './send-command.js'

/** Longer than an attempt may take. */
const RETRY_WITHIN_MS = 3_700_000

/** Shows the commands that ended one worker after the other, with what became of each worker, and the effects that failed for good. */
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

    output.line('Nothing is parked.')
    return
  }
  output.table(
    [{ title: 'id' }, { title: 'parked' }, { title: 'entity' }, { title: 'command' }, { title: 'source' }, { title: 'why' }],
    parked.map((one) => [
      one.id,
      isoMicros(one.parkedAt),
      one.entity,
      `${one.effect === undefined ? '' : 'effect '}${one.command} ${JSON.stringify(one.data)}`,
      one.source === '' ? '-' : `${one.source} ${one.sequence}`,
      one.effect === undefined ? `ended its workers: ${one.causes.join(', ')}` : (one.causes.at(-1) ?? one.effect.code),
    ]),
  )
  output.line('`millrace parked retry ID` sends one again, `millrace parked discard ID` forgets it.')
}

/** Sends a parked command again, as a new one; it is parked no longer once it is done or refused. An effect is tried once more. Exit code 1 when it is not done. */
export const runParkedRetry: Run = async ([id = ''], options, output) => {
  const parked = new ParkedCommands(dataDirectoryOf(options))
  const one = parked.get(id)
  const session = await PlantSession.open({ ...placeOf(options), env: WITHOUT_SPARES })
  try {
    if (one.effect !== undefined) return await retryEffect(session.dataDirectory, id, output)
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

/** The plant's gateway knows where effects go. */
async function retryEffect(dataDirectory: string, id: string, output: Output): Promise<number> {
  const { gatewaySocket } = dataPaths(dataDirectory)
  const answer = (await callControl(gatewaySocket, 'retryEffect', { id }, RETRY_WITHIN_MS)) as SendAnswer
  printAnswer(answer, output)
  return answer.ok ? 0 : 1
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
