import type { Clock } from '#base/clock.js'
import type { Consumer, Producer } from '#bus/index.js'

/** Ends the duty cycle of a process that was killed within it. */
export class Killed extends Error {}

/**
 * One process of the simulated plant, as far as it lives. Everything that it shares with others goes through `at`: there another process may have its
 * turn, and there the process itself may end. From then on all that is left of it throws, or waits for ever.
 */
export class SimulatedProcess {
  readonly name: string
  readonly #meanwhile: (process: SimulatedProcess) => void
  isDead = false
  /** Its duty cycle is on the stack. */
  isRunning = false

  constructor(name: string, meanwhile: (process: SimulatedProcess) => void) {
    this.name = name
    this.#meanwhile = meanwhile
  }

  /** Right before it looks at, or changes, what others see too. */
  at(): void {
    if (!this.isDead) this.#meanwhile(this)
    if (this.isDead) throw new Killed()
  }

  /** Runs a piece of its work; what is left of it when it is killed meanwhile is lost. */
  run(work: () => void): void {
    this.isRunning = true
    try {
      work()
    } catch (error) {
      if (!(error instanceof Killed)) throw error
    } finally {
      this.isRunning = false
    }
  }

  /** A clock that rings for nobody who is dead. */
  clock(clock: Clock): Clock {
    return {
      nowMicros: () => clock.nowMicros(),
      monotonicMs: () => clock.monotonicMs(),
      after: (delayMs, callback) =>
        clock.after(delayMs, () => {
          if (!this.isDead) callback()
        }),
    }
  }

  producer(end: Producer): Producer {
    const tryClaim = end.tryClaim.bind(end)
    const publish = end.publish.bind(end)
    const releasedPosition = end.releasedPosition.bind(end)
    const hasRoom = end.hasRoom.bind(end)
    // Nobody else sees a claim, so nothing can come before it; but the dead write nothing.
    end.tryClaim = (payloadBytes, type) => {
      if (this.isDead) throw new Killed()
      return tryClaim(payloadBytes, type)
    }
    end.publish = () => {
      this.at()
      publish()
    }
    end.releasedPosition = () => {
      this.at()
      return releasedPosition()
    }
    end.hasRoom = (bytes) => {
      this.at()
      return hasRoom(bytes)
    }
    return end
  }

  consumer(end: Consumer): Consumer {
    const next = end.next.bind(end)
    const release = end.release.bind(end)
    const hasFrames = end.hasFrames.bind(end)
    end.next = () => {
      this.at()
      return next()
    }
    end.release = (position) => {
      this.at()
      release(position)
    }
    end.hasFrames = () => {
      this.at()
      return hasFrames()
    }
    return end
  }
}
