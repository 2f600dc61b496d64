/** The steps of some work, as they come. It begins with the first look and goes on, too, when nobody reads them any more. Ends, or throws, as the work does. */
export async function* stepsOf<S>(work: (onStep: (step: S) => void) => Promise<unknown>): AsyncGenerator<S, void> {
  const steps: S[] = []
  let isOver = false
  let wake: () => void = () => undefined
  const working = work((step) => {
    steps.push(step)
    wake()
  })
  const end = () => {
    isOver = true
    wake()
  }
  working.then(end, end)
  for (;;) {
    const step = steps.shift()
    if (step !== undefined) yield step
    else if (isOver) break
    else await new Promise<void>((resolve) => (wake = resolve))
  }
  await working
}
