/**
 * The slow twin of entity types with states: what the page about them tells, straight from the table, with a copy of everything and no thought of speed.
 * What handlers do is data, so that the same machine can be run by both.
 */
export interface ModelMachine {
  readonly start: string
  readonly states: Readonly<Record<string, ModelState>>
}

export interface ModelState {
  readonly parent?: string
  readonly onEnter?: readonly Step[]
  readonly onExit?: readonly Step[]
  readonly on?: Readonly<Record<string, readonly Step[]>>
  readonly otherwise?: readonly Step[]
}

/** `goto` once: only when the machine has made an even number of transitions with this command. */
export type Step =
  | { readonly do: 'note'; readonly text: string }
  | { readonly do: 'goto'; readonly to: string; readonly isOnce: boolean }
  | { readonly do: 'refuse' }

/** What a command comes to: events as text, `→ A` being a transition. */
export type ModelOutcome =
  | { readonly kind: 'done'; readonly events: readonly string[]; readonly state: string }
  | { readonly kind: 'refused'; readonly code: string }
  | { readonly kind: 'failed' }

class Restless extends Error {}

/** Decides one command of a machine that is in `state`, null before the first one. */
export function decideSlowly(machine: ModelMachine, state: string | null, command: string, transitionsMax: number): ModelOutcome {
  const events: string[] = []
  let refused: string | undefined
  let current = state
  let isExited = false
  let transitions = 0

  const play = (steps: readonly Step[] = []): void => {
    for (const step of steps) {
      if (step.do === 'note') events.push(step.text)
      else if (step.do === 'refuse') refused ??= 'NO'
      else if (!step.isOnce || transitions % 2 === 0) goto(step.to)
    }
  }
  const enter = (to: string): void => {
    if (transitions === transitionsMax) throw new Restless()
    transitions++
    events.push(`${current ?? ''} → ${to}`)
    current = to
    isExited = false
    play(machine.states[to]?.onEnter)
  }
  const exit = (): void => {
    if (isExited) return
    isExited = true
    play(machine.states[current ?? '']?.onExit)
    exit()
  }
  const goto = (to: string): void => {
    exit()
    enter(to)
  }
  const receive = (at: string | undefined): void => {
    if (at === undefined) {
      refused ??= 'UNHANDLED'
      return
    }
    const { on, otherwise, parent } = machine.states[at] as ModelState
    const own = on?.[command]
    if (own !== undefined) play(own)
    else if (otherwise !== undefined) play([{ do: 'note', text: `whole ${command}` }, ...otherwise])
    else receive(parent)
  }

  try {
    if (current === null) enter(machine.start)
    receive(current ?? undefined)
  } catch (error) {
    if (error instanceof Restless) return { kind: 'failed' }
    throw error
  }
  return refused === undefined ? { kind: 'done', events, state: current ?? '' } : { kind: 'refused', code: refused }
}
