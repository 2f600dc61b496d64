import { isMillraceError, MillraceError } from '#base/errors.js'
import { callControl, streamControl } from '#processes/control-client.js'
import { dataPaths } from '#runtime/data-directory.js'

/** Asks the supervisor of the plant that runs on a data directory. Throws ERR_NO_PLANT when none runs there. */
export async function askSupervisor(dataDirectory: string, name: string, args: unknown, timeoutMs?: number): Promise<unknown> {
  try {
    return await callControl(dataPaths(dataDirectory).supervisorSocket, name, args, timeoutMs)
  } catch (error) {
    throw withoutPlant(error, dataDirectory)
  }
}

/** As `askSupervisor`, for what answers with many values. */
export async function* followSupervisor(dataDirectory: string, name: string, args: unknown): AsyncGenerator<unknown, void> {
  try {
    yield* streamControl(dataPaths(dataDirectory).supervisorSocket, name, args)
  } catch (error) {
    throw withoutPlant(error, dataDirectory)
  }
}

function withoutPlant(error: unknown, dataDirectory: string): unknown {
  if (!isMillraceError(error, 'ERR_SOCKET_ABSENT')) return error
  return new MillraceError('ERR_NO_PLANT', {
    fact: 'no plant runs on this data directory',
    action: 'operator',
    values: { data: dataDirectory },
    next: 'start it with `millrace up`, or name another directory with --data',
    cause: error,
  })
}
