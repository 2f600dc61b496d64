import { setTimeout as delay } from 'node:timers/promises'

/** Looks until the condition holds; fails with `claim` after the deadline. */
export async function until(claim: string, condition: () => boolean, withinMs = 10_000): Promise<void> {
  const deadline = performance.now() + withinMs
  while (!condition()) {
    if (performance.now() > deadline) throw new Error(`not within ${withinMs} ms: ${claim}`)
    await delay(1)
  }
}
