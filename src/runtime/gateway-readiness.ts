import { type Role, type Seat, seatName } from '#processes/process-role.js'
import type { ProcessTable } from '#processes/process-table.js'
import type { PlantShape } from './channel-plan.js'

/** All seats of a plant, the supervisor's first. */
export function seatsOf(shape: PlantShape): Seat<Role>[] {
  const seats = (role: Role, count: number) => Array.from({ length: count }, (_, slot) => ({ role, slot }))
  return [...seats('supervisor', 1), ...seats('journal', 1), ...seats('worker', shape.workers), ...seats('gateway', shape.gateways)]
}

/** The seats behind the gateway that nobody works on, such as `worker/1`. None: a command that is sent now is answered. */
export function missingSeats(table: ProcessTable, shape: PlantShape): string[] {
  const rows = table.snapshot()
  return seatsOf(shape)
    .filter(({ role }) => role === 'journal' || role === 'worker')
    .filter((seat) => !rows.some((row) => row.role === seat.role && row.slot === seat.slot && row.state === 'ready'))
    .map(seatName)
}
