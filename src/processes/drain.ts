import type { Clock } from '#base/clock.js'
import type { Member } from './member.js'
import { type ChildRole, seatName } from './process-role.js'

/** Intake first, so that what follows has an end; the journal last, so that all of it becomes durable. */
const STAGES: readonly ChildRole[] = ['gateway', 'worker', 'journal']

/**
 * Stops processes stage by stage within `withinMs` from now: each stage may use what is left up to its share, then its processes are killed.
 * Processes without a seat hold nothing and are killed at once; so is everybody when `forced` resolves. Resolves when all are reaped, with the
 * names of the seats that did not end by themselves.
 */
export async function drain(members: readonly Member[], withinMs: number, clock: Clock, forced: Promise<void>): Promise<string[]> {
  const startMs = clock.monotonicMs()
  const killed: string[] = []
  for (const member of members) if (member.slot === undefined) member.kill()
  for (const [index, role] of STAGES.entries()) {
    const remainingMs = startMs + (withinMs * (index + 1)) / STAGES.length - clock.monotonicMs()
    const stage = members.filter((member) => member.role === role && member.slot !== undefined && member.child.ending === undefined)
    for (const member of stage) {
      member.state = 'stopping'
      member.child.send({ kind: 'stop', withinMs: Math.max(0, remainingMs) })
    }
    await Promise.race([endOf(stage), after(clock, remainingMs), forced])
    for (const member of stage) {
      if (member.child.ending !== undefined) continue
      killed.push(seatName({ role, slot: member.slot ?? 0 }))
      member.kill()
    }
    await endOf(stage)
  }
  await endOf(members)
  return killed
}

function endOf(members: readonly Member[]): Promise<unknown> {
  return Promise.all(members.map((member) => member.child.ended))
}

function after(clock: Clock, delayMs: number): Promise<void> {
  return new Promise((resolve) => {
    clock.after(Math.max(0, delayMs), resolve)
  })
}
