/** What SIGTERM, SIGINT and SIGHUP stop. */
export interface Stoppable {
  stop(): Promise<void>
  forceStop(): Promise<void>
  /** Resolves once it has stopped, whoever asked. */
  whenStopped(): Promise<void>
}

const SIGNALS = ['SIGTERM', 'SIGINT', 'SIGHUP'] as const

/**
 * The first signal stops in order, a second one by force. Resolves to the exit code once the plant has stopped, also when something else than a
 * signal asked for it: 0 after an orderly stop, 1 after a forced one. Meanwhile the signals do not end the process by themselves.
 */
export async function stopOnSignals(plant: Stoppable): Promise<number> {
  let signalCount = 0
  const take = () => {
    signalCount++
    // A failed stop is told by `whenStopped`.
    const stopped = signalCount === 1 ? plant.stop() : plant.forceStop()
    stopped.catch(() => undefined)
  }
  for (const signal of SIGNALS) process.on(signal, take)
  try {
    await plant.whenStopped()
    return signalCount > 1 ? 1 : 0
  } finally {
    for (const signal of SIGNALS) process.off(signal, take)
  }
}
