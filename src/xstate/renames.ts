import type { AnyStateMachine } from 'xstate'
import { leavesOf, pathsOf, type StateValue, valueOf } from './state-paths.js'
import type { ChartState, Step } from './statechart.js'

/** Turns what was stored of states that a machine has no more into what they are now. */
export class Renames {
  readonly #name: string
  readonly #machine: AnyStateMachine
  readonly #renamed: Readonly<Record<string, string>>

  constructor(name: string, machine: AnyStateMachine, renamed: Readonly<Record<string, string>>) {
    this.#name = name
    this.#machine = machine
    this.#renamed = renamed
  }

  step(step: Step): Step {
    const { history } = step
    return {
      ...step,
      state: this.#path(step.state),
      value: this.#value(step.value as StateValue),
      ...(history === undefined ? {} : { history: this.#history(history as History) }),
    }
  }

  /** Changes the state of a base snapshot, whose rows are gone, in place. Throws naming a state that is no more and has no other name. */
  adopt(state: ChartState): void {
    if (state.value === null) return
    const leaves = leavesOf(this.#machine)
    const gone = pathsOf(state.value as StateValue)
      .map((path) => this.#path(path))
      .find((path) => !leaves.includes(path))
    if (gone !== undefined)
      throw new Error(`it is in the state ${gone} of ${this.#name}, which is no more: say under renamedStates what it is now`)
    state.value = this.#value(state.value as StateValue)
    state.history = this.#history(state.history as History)
  }

  #value(value: StateValue): StateValue {
    const paths = pathsOf(value)
    return paths.some((path) => Object.hasOwn(this.#renamed, path))
      ? valueOf(
          this.#machine,
          paths.map((path) => this.#path(path)),
        )
      : value
  }

  /** Nodes are remembered by their ids, which are made of the machine's and the path unless the machine says otherwise. */
  #history(history: History): History {
    const prefix = `${this.#machine.id}.`
    const present = (id: string): string => (id.startsWith(prefix) ? `${prefix}${this.#path(id.slice(prefix.length))}` : id)
    return Object.fromEntries(Object.entries(history).map(([node, ids]) => [node, ids.map(present)]))
  }

  #path(path: string): string {
    return Object.hasOwn(this.#renamed, path) ? (this.#renamed[path] as string) : path
  }
}

type History = Readonly<Record<string, readonly string[]>>
