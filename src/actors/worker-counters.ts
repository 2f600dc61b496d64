/** What a worker counts; every number only grows, but for the last two. */
export interface WorkerCounters {
  commands: number
  events: number
  refusals: number
  duplicates: number
  late: number
  snapshots: number
  /** Snapshots that cannot be taken: the state is not plain data, or too large for a frame. */
  snapshotsFailed: number
  activations: number
  passivations: number
  /** Appends that the journal did not take. */
  rejections: number
  /** Turns that stopped because the appends channel was full. */
  stalls: number
  /** Messages and timers that entities told. */
  told: number
  /** Commands of devices that had to wait, since the outbox of their entity was full. */
  heldBack: number
  /** Volatile commands: told by entities, done without a row, and not done for want of room or since their cause was taken back. */
  volatileTold: number
  volatileDone: number
  volatileDropped: number
  knownEntities: number
  liveEntities: number
}

export function createWorkerCounters(): WorkerCounters {
  return {
    commands: 0,
    events: 0,
    refusals: 0,
    duplicates: 0,
    late: 0,
    snapshots: 0,
    snapshotsFailed: 0,
    activations: 0,
    passivations: 0,
    rejections: 0,
    stalls: 0,
    told: 0,
    heldBack: 0,
    volatileTold: 0,
    volatileDone: 0,
    volatileDropped: 0,
    knownEntities: 0,
    liveEntities: 0,
  }
}
