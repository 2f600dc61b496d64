import { isThenable } from './decider.js'

/** A state as it runs: its receivers are looked up by command, the parents' and the catch-alls among them. */
export interface RunnableState {
  readonly onEnter: Hook | undefined
  readonly onExit: Hook | undefined
  readonly receivers: ReadonlyMap<string, Receiver>
}

export interface Receiver {
  readonly receive: (state: unknown, command: unknown, context: unknown) => unknown
  /** A catch-all gets the command with its name. */
  readonly takesWhole: boolean
}

type Hook = (state: unknown, context: unknown, transition: object) => unknown

export interface Machine {
  readonly entity: string
  readonly states: ReadonlyMap<string, RunnableState>
  readonly start: string
}

interface WholeCommand {
  readonly command: string
  readonly data: object
}

/** What of a `decide` context is used here. */
interface Context {
  readonly emit: { readonly Transitioned: (data: { readonly from?: string; readonly to: string }) => undefined }
  readonly refuse: (code: string, detail: object) => unknown
}

/** Transitions of one command: more are a machine that does not come to rest. Nested ones stand on the stack. */
export const TRANSITIONS_PER_COMMAND_MAX = 256

/**
 * Decides commands by a table of states, in the order that programs for leaf states rely on: a transition exits the current state and enters
 * the other one, and their parents, which only lend receivers, take no part. Another order is another `MachineRun.goto`.
 */
export class MachineRuns {
  readonly #machine: Machine
  /** A decider has one context, which it fills anew for each command, so what is made of it is made once. */
  readonly #runs = new WeakMap<object, MachineRun>()

  constructor(machine: Machine) {
    this.#machine = machine
  }

  /** What `decide` of a command does: the reply of its receiver, or the refusal UNHANDLED where no state has one. Throws what handlers throw. */
  run(state: { readonly state: string | null }, command: WholeCommand, context: object): unknown {
    let run = this.#runs.get(context)
    if (run === undefined) {
      run = new MachineRun(this.#machine, context as Context)
      this.#runs.set(context, run)
    }
    return run.decide(state, command)
  }
}

class MachineRun {
  readonly #machine: Machine
  readonly #context: Context
  readonly #machineContext: { current: string | null }
  #state: { readonly state: string | null } = { state: null }
  /** Undefined between two commands. */
  #command: WholeCommand | undefined
  #current: string | null = null
  /** The current state has been exited, and is not to be once more. */
  #isExited = false
  #transitionCount = 0
  /** The first rule that was broken. It fails the command even when a handler catches what was thrown for it. */
  #broken: Error | undefined

  constructor(machine: Machine, context: Context) {
    this.#machine = machine
    this.#context = context
    const { Transitioned: _, ...emit } = context.emit
    // What else a context has is read through it, since it changes from command to command.
    this.#machineContext = Object.create(context, {
      emit: { value: Object.freeze(emit), enumerable: true },
      goto: { value: (to: unknown) => this.goto(to), enumerable: true },
      current: { value: null, enumerable: true, writable: true },
    }) as { current: string | null }
  }

  decide(state: { readonly state: string | null }, command: WholeCommand): unknown {
    this.#state = state
    this.#command = command
    this.#isExited = false
    this.#transitionCount = 0
    this.#broken = undefined
    this.#at(state.state)
    try {
      if (state.state === null) this.#enter(this.#machine.start)
      const returned = this.#receive(command)
      this.#mustBeWhole()
      return returned
    } finally {
      this.#command = undefined
    }
  }

  goto(to: unknown): undefined {
    if (this.#command === undefined) throw new Error(`${this.#machine.entity}: goto was called after the command had been decided`)
    if (typeof to !== 'string' || !this.#machine.states.has(to)) {
      throw this.#breaks(`goto ${String(to)}: there is no such state, only ${[...this.#machine.states.keys()].join(', ')}`)
    }
    // A state that goes elsewhere when it is exited has been left for there, and that state is left in its turn.
    while (!this.#isExited) {
      const leaving = this.#named(this.#current as string)
      this.#isExited = true
      this.#call(leaving.onExit, to)
    }
    this.#enter(to)
    return undefined
  }

  #enter(to: string): void {
    const from = this.#current
    if (this.#transitionCount === TRANSITIONS_PER_COMMAND_MAX) {
      throw this.#breaks(
        `more than ${TRANSITIONS_PER_COMMAND_MAX} transitions of one command, the last one from ${from} to ${to}: goto in onEnter and onExit must come to rest`,
      )
    }
    this.#transitionCount++
    this.#context.emit.Transitioned(from === null ? { to } : { from, to })
    this.#at(to)
    this.#isExited = false
    this.#call(this.#named(to).onEnter, to, from)
  }

  #receive(command: WholeCommand): unknown {
    const current = this.#current as string
    const receiver = this.#named(current).receivers.get(command.command)
    if (receiver === undefined) return this.#context.refuse('UNHANDLED', { state: current, command: command.command })
    return receiver.receive(this.#state, receiver.takesWhole ? command : command.data, this.#machineContext)
  }

  #call(hook: Hook | undefined, to: string, from = this.#current): void {
    if (hook === undefined) return
    const returned = hook(this.#state, this.#machineContext, { from, to, command: this.#command })
    if (isThenable(returned)) {
      returned.then(undefined, () => undefined)
      throw this.#breaks(`onEnter or onExit on the way from ${from} to ${to} returned a promise: they are synchronous, as decide is`)
    }
  }

  #at(current: string | null): void {
    this.#current = current
    this.#machineContext.current = current
  }

  #named(name: string): RunnableState {
    const state = this.#machine.states.get(name)
    if (state === undefined) throw this.#breaks(`it is in the state ${name}, and there is none of this name`)
    return state
  }

  #mustBeWhole(): void {
    const broken: Error | undefined = this.#broken
    if (broken !== undefined) throw broken
  }

  #breaks(what: string): Error {
    this.#broken ??= new Error(`${this.#machine.entity}: ${what}`)
    return this.#broken
  }
}
