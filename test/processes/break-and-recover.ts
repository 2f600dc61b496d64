import { setTimeout as delay } from 'node:timers/promises'
import { type Role, seatName } from '#processes/process-role.js'
import type { PlantSession } from '#runtime/plant-session.js'

const BACK_WITHIN_MS = 30_000
const LOOK_EVERY_MS = 10

/** SIGKILLs the holder of a seat and resolves, with the seat's name, when it works again. The supervisor is started anew, as a service manager would. */
export async function breakAndRecover(session: PlantSession, role: Role, slot = 0): Promise<string> {
  const seat = seatName({ role, slot })
  if (role === 'supervisor') {
    await session.killSupervisor()
    await session.restartSupervisor()
    return seat
  }
  const { recoveryCount } = await session.status()
  const deadlineMs = performance.now() + BACK_WITHIN_MS
  await session.kill(role, slot)
  for (;;) {
    const status = await session.status()
    const newer = status.recoveries.slice(recoveryCount - status.recoveryCount)
    if (status.recoveryCount > recoveryCount && newer.some(({ process }) => process === seat)) return seat
    if (performance.now() > deadlineMs) throw new Error(`${seat} did not come back`)
    await delay(LOOK_EVERY_MS)
  }
}
