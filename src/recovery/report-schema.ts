import { z } from 'zod'
import { HEALTHS } from './health.js'
import type { PlantReport } from './report.js'

const count = z.int().min(0)
const milliseconds = z.number().min(0)
const stateHash = z.string().regex(/^[0-9a-f]{64}$/)

const latencies = z.array(milliseconds.nullable())

const incident = z.strictObject({
  kind: z.string(),
  process: z.string().describe('The seat that it hit first, such as worker/0.'),
  atMs: milliseconds.describe('Since the start of the run.'),
  endMs: milliseconds.describe('All seats worked again and the devices had been told of a new durable command.'),
  quietMs: milliseconds.describe('The longest time between two acknowledgements meanwhile.'),
  replaced: count.describe('Processes that were replaced meanwhile.'),
  timeline: z
    .strictObject({ fromMs: milliseconds, bucketMs: milliseconds, acked: z.array(count), ackP50Ms: latencies, ackP99Ms: latencies })
    .optional()
    .describe('Acknowledgements around it; a bucket without any has null.'),
})

const timers = z.strictObject({
  set: count,
  cancelled: count.describe('Before they went off, or so that they did not again.'),
  wentOff: count.describe('How often one went off that was to.'),
  missing: count.describe('Never went off.'),
  repeated: count.describe('Went off twice.'),
  unwanted: count.describe('Went off though cancelled.'),
  early: count.describe('Went off before they were due.'),
  outOfOrder: count.describe('Went off behind one of the same entity that was due later.'),
  lateMs: z.strictObject({ p50: milliseconds, p99: milliseconds, max: milliseconds }).describe('From when one was due until it went off.'),
})

const supervision = z.strictObject({
  trees: count,
  errors: count.describe('Of children.'),
  restarted: count.describe('How often a child began anew.'),
  resumed: count.describe('How often one went on.'),
  escalated: count.describe('How often there were too many errors for a supervisor.'),
  wrong: count.describe('Trees of which something else became than their strategies say.'),
})

/** Checks a report that comes from outside: a file, another process. config/report.schema.json is this as JSON Schema. */
export const reportSchema = z
  .strictObject({
    sent: count.describe('Commands that a source sent for the first time.'),
    acked: count.describe('Commands whose source was told that they are durable.'),
    durable: count.describe('Of the commands sent, those that are in the log.'),
    ackedMissing: count.describe('Acknowledged but absent from the log.'),
    duplicated: count.describe('In the log more than once.'),
    outOfOrder: count.describe('In the log behind a later one of the same source and entity.'),
    torn: count.optional().describe('In the log with other values than were sent, where these were compared.'),
    invented: count.optional().describe('In the log without ever having been sent, where somebody knows all that was.'),
    stateHash: z.strictObject({ live: stateHash, replayed: stateHash }).describe('SHA-256 over the state of all entities.'),
    recoveries: z.array(
      z.strictObject({
        process: z.string().describe('The seat, such as worker/0.'),
        cause: z.string().describe('Such as SIGKILL, exit code 1, hang (pulse).'),
        rtoMs: milliseconds.describe('From the first sign of the death until the seat works again.'),
        entities: count,
        events: count,
        phases: z
          .record(z.string(), milliseconds)
          .describe('noticed, reaped, started and ready add up to rtoMs; others are parts of ready.'),
      }),
    ),
    rtoMs: z.strictObject({ p50: milliseconds, p99: milliseconds, max: milliseconds }),
    ackMs: z.strictObject({ p50: milliseconds, p99: milliseconds }),
    eventsPerSecond: z.number().min(0),
    busRttNs: z.number().min(0).optional().describe('Median round trip of a frame over the bus, in nanoseconds.'),
    bytesPerEvent: z.number().min(0).optional().describe('Bytes on disk for one stored event.'),
    faults: z
      .array(
        z.strictObject({
          kind: z.string().describe('Such as kill, full-disk, journal-in-recovery.'),
          count: count.describe('How often it was carried out.'),
          skipped: count.describe('How often it could not be carried out.'),
          reasons: z.array(z.string()).describe('Why it was skipped, each reason once.'),
          how: z.string().describe('What was really done: some faults have a stand-in.'),
        }),
      )
      .optional()
      .describe('What was done to the plant, by kind.'),
    incidents: z.array(incident).optional().describe('Each time that it was done, in order.'),
    timers: timers.optional().describe('What became of timers, where entities were told to set some.'),
    supervision: supervision.optional().describe('What became of trees of supervision, where children were told to err.'),
    health: z.enum(HEALTHS).optional(),
  })
  .meta({
    title: 'Report of a Millrace plant',
    description: 'What a run came to: demo, drill, chaos. Times are milliseconds unless named otherwise.',
  })

/** The report as it is, or a ZodError that names each field that is wrong. */
export function parseReport(value: unknown): PlantReport {
  return reportSchema.parse(value) as PlantReport
}

/** JSON Schema (draft 2020-12) of the report. */
export function reportJsonSchema(): Record<string, unknown> {
  return z.toJSONSchema(reportSchema) as Record<string, unknown>
}
