import type { PlantReport, Recovery, SupervisionReport, TimerReport } from '#recovery/report.js'

export const HASH = 'ab'.repeat(32)

export const TIMERS: TimerReport = {
  ...{ set: 102, cancelled: 30, wentOff: 114, missing: 0, repeated: 0, unwanted: 0, early: 0, outOfOrder: 0 },
  lateMs: { p50: 0.2, p99: 80, max: 81.5 },
}

export const SUPERVISION: SupervisionReport = { trees: 3, errors: 21, restarted: 48, resumed: 3, escalated: 6, wrong: 0 }

export function reportOf(parts: Partial<PlantReport>): PlantReport {
  return {
    sent: 100,
    acked: 100,
    durable: 100,
    ackedMissing: 0,
    duplicated: 0,
    outOfOrder: 0,
    stateHash: { live: HASH, replayed: HASH },
    recoveries: [],
    rtoMs: { p50: 0, p99: 0, max: 0 },
    ackMs: { p50: 1.5, p99: 9 },
    eventsPerSecond: 1000,
    ...parts,
  }
}

export function recoveryOf(parts: Partial<Recovery>): Recovery {
  return {
    process: 'worker/0',
    cause: 'SIGKILL',
    rtoMs: 20,
    entities: 10,
    events: 100,
    phases: { noticed: 1, reaped: 0, started: 4, ready: 15 },
    ...parts,
  }
}

/** Of a drill, with text in it that must not become markup. */
export function drillReport(): PlantReport {
  return reportOf({
    recoveries: [recoveryOf({}), recoveryOf({ process: 'journal/0', rtoMs: 310 }), recoveryOf({ process: 'plant', rtoMs: 800 })],
    rtoMs: { p50: 310, p99: 790, max: 800 },
    faults: [
      { kind: 'full-disk', count: 1, skipped: 2, reasons: ['others made <room> on it'], how: 'a "ballast" & no more' },
      { kind: 'kill', count: 2, skipped: 0, reasons: [], how: 'SIGKILL' },
    ],
    incidents: [
      {
        kind: 'kill',
        process: 'worker/0',
        atMs: 500,
        endMs: 750.5,
        quietMs: 31.25,
        replaced: 1,
        timeline: {
          fromMs: 200,
          bucketMs: 100,
          acked: [100, 120, 90, 0, 0, 310, 100],
          ackP50Ms: [2.5, 2.4, 2.6, null, null, 80, 3],
          ackP99Ms: [9, 8, 9, null, null, 210.5, 12],
        },
      },
      { kind: 'full-disk', process: 'journal/0', atMs: 3000, endMs: 4000, quietMs: 900, replaced: 0 },
    ],
    timers: TIMERS,
    supervision: SUPERVISION,
    health: 'GOOD',
  })
}
