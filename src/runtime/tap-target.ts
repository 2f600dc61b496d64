import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { isMillraceError, MillraceError } from '#base/errors.js'
import { type ChannelTapOptions, openedChannel, type Peer } from '#bus/index.js'
import { ProcessTable } from '#processes/process-table.js'
import { PROCESS_TABLE_NAME } from '#recovery/plant-supervisor.js'
import { Mapping, RemoteBell } from '#shm/index.js'
import { busDirectory, type BusPlace, ringsIn } from './bus-view.js'
import { seatsOf } from './channel-plan.js'
import { bellPath } from './role-process.js'

/** Where a capture finds a channel, and whom it wakes. */
export type TapTarget = Omit<ChannelTapOptions, 'leaseMs'>

/** Throws ERR_NO_PLANT, ERR_NO_CHANNELS, and ERR_NO_CHANNEL with the names of those that there are. */
export function tapTarget(place: BusPlace, channel: string): TapTarget {
  const directory = busDirectory(place)
  const names = ringsIn(directory)
  if (!names.includes(channel)) {
    throw new MillraceError('ERR_NO_CHANNEL', {
      fact: 'there is no such channel',
      action: 'operator',
      values: { channel },
      next: `one of ${names.join(', ')}`,
    })
  }
  const opened = openedChannel(directory, channel)
  const seat = seatsOf(channel)?.producer
  if (seat === undefined || !existsSync(join(directory, PROCESS_TABLE_NAME))) return opened
  return { ...opened, peerOf: () => processPeer(directory, bellPath({ runtimeDirectory: directory }, seat.role, seat.slot), seat) }
}

/** The process in a seat. A table that is just being made anew wakes nobody: sleepers look again by themselves. */
function processPeer(directory: string, bell: string, seat: Parameters<ProcessTable['parkedWord']>[0]): Peer {
  const remote = new RemoteBell(bell)
  try {
    const table = ProcessTable.open(Mapping.open(join(directory, PROCESS_TABLE_NAME)).buffer)
    return { ...table.parkedWord(seat), ring: () => void remote.ring() }
  } catch (error) {
    if (!isMillraceError(error)) throw error
    return { words: new Int32Array(1), index: 0, ring: () => undefined }
  }
}
