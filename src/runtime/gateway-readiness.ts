import { type Seat, seatName } from '#processes/process-role.js'
import type { ProcessTable } from '#processes/process-table.js'
import type { Placement } from '#shards/placement.js'

/** The seats behind the gateway that nobody works on, such as `worker/1`. None: a command that is sent now is answered. A worker without shards is not missed. */
export function missingSeats(table: ProcessTable, placement: Placement): string[] {
  const rows = table.snapshot()
  const workers = placement.slots().map((slot): Seat => ({ role: 'worker', slot }))
  return [{ role: 'journal', slot: 0 } as const, ...workers]
    .filter((seat) => !rows.some((row) => row.role === seat.role && row.slot === seat.slot && row.state === 'ready'))
    .map(seatName)
}
