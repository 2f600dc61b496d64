import { FakeClock } from '#base/clock.js'
import { type DutyCycle, type DutyCycleOptions, InProcessBell, type RunningDutyCycle, runDutyCycle } from '#bus/index.js'

/** Turns of an event loop that a test drives by hand. */
export class Turns {
  #callbacks: (() => void)[] = []
  readonly schedule = (callback: () => void) => {
    this.#callbacks.push(callback)
  }
  get waiting(): number {
    return this.#callbacks.length
  }
  runOne(): void {
    const callbacks = this.#callbacks
    this.#callbacks = []
    for (const callback of callbacks) callback()
  }
  runAll(turnsMax = 100): void {
    for (let turn = 0; turn < turnsMax && this.#callbacks.length > 0; turn++) this.runOne()
  }
}

/** Work that is a number to count down. */
class Countdown implements DutyCycle {
  left = 0
  done = 0
  looks = 0
  nextDeadline: number | undefined
  onWork: (() => void) | undefined
  doWork(): number {
    this.onWork?.()
    if (this.left === 0) return 0
    this.left--
    this.done++
    return 1
  }
  hasWork(): boolean {
    this.looks++
    return this.left > 0
  }
  nextDeadlineMs(): number | undefined {
    return this.nextDeadline
  }
}

interface Driven {
  readonly duty: Countdown
  readonly turns: Turns
  readonly clock: FakeClock
  readonly bell: InProcessBell
  readonly errors: unknown[]
  readonly running: RunningDutyCycle
}

/** A duty cycle over work, turns, time and a bell that a test has in its hands. */
export function drive(options: Partial<DutyCycleOptions> = {}): Driven {
  const duty = new Countdown()
  const turns = new Turns()
  const clock = new FakeClock()
  const bell = new InProcessBell(turns.schedule)
  const errors: unknown[] = []
  const running = runDutyCycle(duty, {
    strategy: 'adaptive',
    spinMicros: 20,
    parked: bell,
    bell,
    clock,
    schedule: turns.schedule,
    onError: (error) => errors.push(error),
    ...options,
  })
  return { duty, turns, clock, bell, errors, running }
}
