import { StreamDoorClient } from '#ingest/stream-client.js'
import { connectControl } from '#processes/control-socket.js'
import { dataPaths } from './data-directory.js'

/** How long a plant may be without its gateway before a tool gives up. */
const LOST_WITHIN_MS = 30_000

/** The door of the plant that runs on a data directory, kept across replacements of its gateway and restarts of the plant. */
export function connectDoor(dataDirectory: string): Promise<StreamDoorClient> {
  const path = dataPaths(dataDirectory).doorSocket
  return StreamDoorClient.open({ connect: () => connectControl(path), lostWithinMs: LOST_WITHIN_MS })
}
