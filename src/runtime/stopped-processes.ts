import { MillraceError } from '#base/errors.js'
import type { StoppedProcess } from '#drills/plant-under-test.js'
import { type Seat, seatName } from '#processes/process-role.js'
import { isAlive, processStartTime } from '#shm/index.js'

/** Processes that were sent SIGSTOP. However this process ends but by SIGKILL, they are woken: nobody else would. */
export class StoppedProcesses {
  readonly #stopped = new Set<StoppedProcess>()
  readonly #onExit = () => this.wakeAll()

  /** Throws ERR_SEAT_EMPTY without a pid, or when the process is gone. */
  stop(seat: Seat, pid: number | undefined): StoppedProcess {
    const startTime = pid === undefined ? undefined : processStartTime(pid)
    if (pid === undefined || startTime === undefined || !signalled(pid, 'SIGSTOP')) throw seatEmpty(seat)
    const stopped = {
      pid,
      wake: () => {
        if (!this.#stopped.delete(stopped)) return
        if (isAlive({ pid, startTime })) signalled(pid, 'SIGCONT')
        if (this.#stopped.size === 0) process.off('exit', this.#onExit)
      },
    }
    if (this.#stopped.size === 0) process.on('exit', this.#onExit)
    this.#stopped.add(stopped)
    return stopped
  }

  wakeAll(): void {
    for (const stopped of this.#stopped) stopped.wake()
  }
}

/** False when the process is gone. */
function signalled(pid: number, signal: 'SIGSTOP' | 'SIGCONT'): boolean {
  try {
    process.kill(pid, signal)
    return true
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error
    return false
  }
}

function seatEmpty(seat: Seat): MillraceError {
  return new MillraceError('ERR_SEAT_EMPTY', {
    fact: 'nobody holds the seat at the moment',
    action: 'retry',
    values: { seat: seatName(seat) },
  })
}
