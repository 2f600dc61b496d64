import { frameAt } from '#bus/index.js'
import type { PlantModel } from '#entity/index.js'
import type { CommandPlace } from '#processes/command-at-hand.js'
import { Mapping } from '#shm/index.js'
import { inboundName, type PlantShape } from './channel-plan.js'
import { FrameViewer } from './frame-view.js'
import { channelPath } from './role-process.js'

/** A command as it lies in its channel. */
export interface PlacedCommand {
  readonly entity: string
  readonly command: string
  readonly data: unknown
  readonly source: string
  readonly sequence: number
  /** When it happened, microseconds since 1970; undefined: when the plant took it. */
  readonly at: number | undefined
}

/** What lies at a place in the channel to a worker, as long as it is not answered; undefined when it is gone. Errors of shared memory come through. */
export function commandAtPlace(
  runtimeDirectory: string,
  plant: PlantModel,
  shape: PlantShape,
  slot: number,
  { gateway, position }: CommandPlace,
): PlacedCommand | undefined {
  const name = inboundName(gateway, slot, shape)
  const mapping = Mapping.open(channelPath(runtimeDirectory, name), { access: 'read' })
  try {
    const frame = frameAt(mapping.buffer, position)
    const view = frame === undefined ? undefined : new FrameViewer(name, plant, []).view(frame.bytes, frame.type)
    return view?.kind === 'command' && 'data' in view ? (view as unknown as PlacedCommand) : undefined
  } finally {
    mapping.close()
  }
}
