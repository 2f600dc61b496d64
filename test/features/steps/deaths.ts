import { Then, When } from 'quickpickle'
import { expect } from 'vitest'
import { type ChildRole, type Seat, seatName } from '#processes/process-role.js'
import { WHOLE_PLANT } from '#recovery/health.js'
import type { OperatorWorld } from '../operator-world.js'

When('the {seats} die(s)', async ({ atWork, restarts }: OperatorWorld, seats: readonly Seat[]) => {
  const { plant } = atWork
  for (const { role, slot } of seats) {
    if (role === 'supervisor') restarts.push(await atWork.during('the supervisor is started again', plant.crash('supervisor')))
    else await plant.kill({ role, slot })
  }
})

When('the whole plant dies', async ({ atWork, restarts }: OperatorWorld) => {
  restarts.push(await atWork.during('the plant is started again', atWork.plant.crash('everything')))
})

Then('the {seats} is/are replaced', async ({ atWork }: OperatorWorld, seats: readonly Seat[]) => {
  for (const seat of seats) await atWork.until(`${seatName(seat)} is replaced`, () => atWork.isReplaced(seat, 'signal'))
  await atWork.during('every seat works', atWork.plant.whenReady())
})

Then('the plant works again', async ({ atWork, restarts }: OperatorWorld) => {
  await atWork.during('every seat works', atWork.plant.whenReady())
  expect(restarts.map(({ process }) => process)).toEqual([expect.stringMatching(`^(${WHOLE_PLANT}|supervisor/0)$`)])
})

When('a worker is frozen until another has taken its place', async (world: OperatorWorld) => {
  const { atWork } = world
  const seat: Seat<ChildRole> = { role: 'worker', slot: 0 }
  const frozen = await atWork.plant.stop(seat)
  world.frozen = frozen
  world.onEnd(() => frozen.wake())
  await atWork.until('another worker has taken its place', () => atWork.isReplaced(seat, 'hang'))
})

When('the frozen worker wakes up', ({ frozen }: OperatorWorld) => frozen?.wake())

Then('it cannot write any more', ({ atWork, frozen }: OperatorWorld) => {
  expect(frozen).toBeDefined()
  expect(frozen !== undefined && atWork.canWrite(frozen)).toBe(false)
})
