import type { AnyStateMachine, AnyStateNode } from 'xstate'

/** A part of a machine, and why it cannot run here. */
export interface Unrunnable {
  /** Id of a state node and what of it. */
  readonly path: string
  readonly what: string
}

/** Built-in actions whose whole effect is in the next snapshot, or in what the step stores. */
const PURE = new Set(['xstate.assign', 'xstate.raise', 'xstate.emit', 'xstate.enqueueActions'])

/**
 * The first part of a machine that needs more than its pure transition: invoked and spawned actors, delays, messages to other actors, and
 * actions that nobody says what to do about. What `enqueueActions` adds is seen when it is added.
 */
export function whyNotRunnable(machine: AnyStateMachine, actions: readonly string[]): Unrunnable | undefined {
  return wrongNode(machine, machine.root as AnyStateNode, actions)
}

function wrongNode(machine: AnyStateMachine, node: AnyStateNode, actions: readonly string[]): Unrunnable | undefined {
  const { id } = node
  if (node.invoke.length > 0)
    return {
      path: `${id}.invoke`,
      what: 'an entity invokes no actors: its source may be another entity that this one tells, or a source of the plant',
    }
  if (node.after.length > 0)
    return {
      path: `${id}.after`,
      what: 'delayed transitions are not run: set a timer in an action, with `after` of its context, that sends a command',
    }
  const transitions = [...node.transitions.values()].flat().concat(node.always ?? [])
  const initial = node.type === 'compound' ? [node.initial] : []
  for (const [where, list] of [
    ['entry', node.entry],
    ['exit', node.exit],
    ...[...transitions, ...initial].map((one) => [`on.${one.eventType}`, one.actions] as const),
  ] as readonly (readonly [string, readonly unknown[]])[]) {
    for (const action of list) {
      const what = whyNotAction(machine, action, actions)
      if (what !== undefined) return { path: `${id}.${where}`, what }
    }
  }
  for (const { guard, eventType } of transitions) {
    const name = typeof guard === 'string' ? guard : typeof guard === 'object' ? (guard as { readonly type: string }).type : undefined
    if (name !== undefined && machine.implementations.guards[name] === undefined)
      return { path: `${id}.on.${eventType}`, what: `the guard ${name} has no implementation` }
  }
  for (const child of Object.values(node.states) as AnyStateNode[]) {
    const wrong = wrongNode(machine, child, actions)
    if (wrong !== undefined) return wrong
  }
  return undefined
}

/** An action is a name, an object with a name, or a function: one of the built-in ones, which resolve to a snapshot, or any other. */
function whyNotAction(machine: AnyStateMachine, action: unknown, actions: readonly string[]): string | undefined {
  const name = typeof action === 'string' ? action : typeof action === 'object' ? (action as { readonly type: string }).type : undefined
  if (name !== undefined && actions.includes(name)) return undefined
  const implementation = (name === undefined ? action : machine.implementations.actions[name]) as BuiltIn | undefined
  if (implementation === undefined || !('resolve' in implementation)) {
    return name === undefined
      ? 'a function here would run once and never again: give it a name, and say what it does under `actions`'
      : `say under \`actions\` what ${name} does: what the machine itself has for it is not run`
  }
  if (!PURE.has(implementation.type)) return `${implementation.type.replace('xstate.', '')} is not run: it needs an actor system`
  if (implementation.type === 'xstate.raise' && implementation.delay !== undefined)
    return 'raise with a delay is not run: set a timer in an action, with `after` of its context'
  return undefined
}

interface BuiltIn {
  readonly type: string
  readonly delay?: unknown
  readonly resolve: unknown
}
