import { join } from 'node:path'
import type { Clock } from '#base/clock.js'
import { messageOf } from '#base/errors.js'
import type { Journal } from '#journal/index.js'
import { subscriptionsOf } from '#reading/subscription-registry.js'
import type { JournalServer } from '#serving/journal-server.js'
import { Retention, type RetentionStep } from '#serving/retention.js'
import type { Placement } from '#shards/placement.js'
import type { Config } from './config-schema.js'
import { dataPaths } from './data-directory.js'
import { archiveSegment } from './segment-archive.js'

export interface LogRetentionOptions {
  readonly journal: Journal
  readonly server: JournalServer
  readonly placement: Placement
  readonly config: Config['retention']
  /** Whose log it is. */
  readonly dataDirectory: string
  readonly clock: Clock
  readonly log: RetentionLog
}

/** Where steps of retention are told. */
export type RetentionLog = (level: 'info' | 'warn' | 'error', message: string, values: Readonly<Record<string, unknown>>) => void

export interface RunningRetention {
  /** Does now what is due; resolves when it is done or cannot go on. */
  apply(): Promise<void>
  /** Resolves when nothing of it is under way any more. */
  stop(): Promise<void>
}

const LOOK_EVERY_MS = 250

/** Keeps the log within its policy for as long as the plant runs. Undefined without a limit: then there is nothing to do. */
export function startRetention(options: LogRetentionOptions): RunningRetention | undefined {
  const { journal, server, placement, config, dataDirectory, clock, log } = options
  const { ageMs, bytesMax, heldBytesMax, archive } = config
  if (ageMs === null && bytesMax === null) return undefined
  const subscriptions = subscriptionsOf(journal, clock)
  const retention = new Retention({
    journal,
    clock,
    policy: {
      heldBytesMax,
      ...(ageMs === null ? {} : { ageMicrosMax: ageMs * 1000 }),
      ...(bytesMax === null ? {} : { bytesMax }),
    },
    readers: () => subscriptions.list().filter(({ isFenced }) => !isFenced),
    fence: (reader, reason) => subscriptions.fence(reader, reason),
    want: (entity, shard) => server.want(placement.slotOf(shard), entity),
    ...(archive === null
      ? {}
      : { archive: ({ name }) => archiveSegment(join(dataPaths(dataDirectory).journal, 'log', name), name, archive) }),
    onStep: (step) => log(...told(step)),
  })
  let cancel = () => {}
  let isStopped = false
  let running: Promise<void> = Promise.resolve()
  const apply = () => (running = running.then(() => retention.run()))
  const next = () => {
    if (isStopped) return
    cancel = clock.after(LOOK_EVERY_MS, () => void apply().then(next))
  }
  next()
  return {
    apply,
    stop: () => {
      isStopped = true
      cancel()
      retention.stop()
      return running
    },
  }
}

function told(step: RetentionStep): Parameters<RetentionLog> {
  if (step.kind === 'failed') return ['error', 'retention failed and will try again', { error: messageOf(step.error) }]
  const { name, firstPosition, endPosition, bytes } = step.segment
  const segment = { segment: name, firstPosition, endPosition, bytes }
  switch (step.kind) {
    case 'dropped':
      return ['info', 'a segment was dropped', { ...segment, because: step.because, baseSnapshots: step.bases }]
    case 'held':
      return [
        'warn',
        'a segment is held for subscriptions that lag',
        { ...segment, subscriptions: step.readers, heldBytes: step.heldBytes },
      ]
    case 'fenced':
      return [
        'warn',
        'subscriptions are fenced: they held too much of the log',
        { ...segment, subscriptions: step.readers, heldBytes: step.heldBytes },
      ]
    case 'waiting':
      return [
        'warn',
        'a segment stays: no snapshots could be had of entities in it',
        { ...segment, entities: step.entities, entityCount: step.entityCount },
      ]
  }
}
