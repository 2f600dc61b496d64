import { messageOf } from '#base/errors.js'
import { type EntityId, parseEntityId } from '#base/ids.js'
import { connectDoor } from '#runtime/door-access.js'
import { PlantSession, WITHOUT_SPARES } from '#runtime/plant-session.js'
import type { Run } from './command.js'
import { numberOption, timeOption, usageError } from './number-option.js'
import { placeOf, textOption } from './place.js'
import { printAnswer, sendTo } from './send-command.js'

/** Sends one command and prints its answer, which is durable then. Exit code 1 when the entity refuses or fails. */
export const runSend: Run = async ([id = '', command = '', json = '{}'], options, output) => {
  parseEntityId(id)
  const data = parseData(json)
  const source = textOption(options, 'source')
  const sequence = numberOption(options, 'sequence')
  if ((source === undefined) !== (sequence === undefined)) throw usageError('--source and --sequence go together', {})
  const session = await PlantSession.open({ ...placeOf(options), env: WITHOUT_SPARES })
  try {
    const door = await connectDoor(session.dataDirectory)
    try {
      const at = timeOption(options, 'at')
      const envelope = { source: source ?? '', sequence: sequence ?? 0, entity: id as EntityId, command, data, at }
      const answer = await sendTo(door, envelope)
      printAnswer(answer, output)
      return answer.ok ? 0 : 1
    } finally {
      await door.close()
    }
  } finally {
    await session.close()
  }
}

function parseData(json: string): Record<string, unknown> {
  let data: unknown
  try {
    data = JSON.parse(json)
  } catch (error) {
    throw usageError('the data of the command is not JSON', { data: json.slice(0, 200) }, messageOf(error))
  }
  if (typeof data !== 'object' || data === null || Array.isArray(data))
    throw usageError('the data of the command is not a JSON object', { data: json.slice(0, 200) })
  return data as Record<string, unknown>
}
