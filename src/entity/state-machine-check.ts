import { TRANSITIONED, wrongName } from '#schema/index.js'
import { isRecord, type Wrong } from './upcast-check.js'

const PARTS = ['parent', 'onEnter', 'onExit', 'on', 'otherwise']

/** What is wrong with `states`, and with what may only stand beside it, of a definition whose events and commands are right. */
export function wrongStates(given: Readonly<Record<string, unknown>>): Wrong | undefined {
  const { states, start, decide, events, commands, dropped } = given
  if (!isRecord(states)) return { path: 'states', what: 'give an object of states, such as { Closed: { on: { open… } }, Open: { … } }' }
  const names = Object.keys(states)
  if (names.length === 0) return { path: 'states', what: 'give at least one state' }
  if (decide !== undefined) return { path: 'decide', what: 'a type with states has receivers in them instead' }
  if (Object.hasOwn(events as object, TRANSITIONED))
    return { path: `events.${TRANSITIONED}`, what: 'a type with states has this event already' }
  if (Array.isArray(dropped) && dropped.includes(TRANSITIONED))
    return { path: `dropped.${TRANSITIONED}`, what: 'the type still has this event' }
  if (start !== undefined && !names.includes(start as string)) return { path: 'start', what: noState(start, names) }
  for (const name of names) {
    const wrong = wrongState(states, name, Object.keys(commands as object))
    if (wrong !== undefined) return wrong
  }
  return wrongFunction('applyTransition', given.applyTransition) ?? wrongRenames(given.renamedStates, names)
}

/** What is wrong with the first state when there are `states`. */
export function wrongInitialOfStates(state: object): Wrong | undefined {
  return Object.hasOwn(state, 'state')
    ? { path: 'initial', what: 'the property `state` is the name of the current state: leave it out, or call it something else' }
    : undefined
}

function wrongState(states: Readonly<Record<string, unknown>>, name: string, commands: readonly string[]): Wrong | undefined {
  const path = `states.${name}`
  const wrong = wrongName(name)
  if (wrong !== undefined) return { path, what: wrong }
  const state = states[name]
  if (!isRecord(state)) return { path, what: `give an object with any of ${PARTS.join(', ')}` }
  const extra = Object.keys(state).find((part) => !PARTS.includes(part))
  if (extra !== undefined) return { path: `${path}.${extra}`, what: `there is no such part, only ${PARTS.join(', ')}` }
  return (
    wrongParent(states, name) ??
    wrongFunction(`${path}.onEnter`, state.onEnter) ??
    wrongFunction(`${path}.onExit`, state.onExit) ??
    wrongFunction(`${path}.otherwise`, state.otherwise) ??
    wrongReceivers(`${path}.on`, state.on, commands)
  )
}

function wrongParent(states: Readonly<Record<string, unknown>>, name: string): Wrong | undefined {
  const line = [name]
  let { parent } = states[name] as { readonly parent?: unknown }
  while (parent !== undefined) {
    const path = `states.${line.at(-1)}.parent`
    if (typeof parent !== 'string' || !Object.hasOwn(states, parent)) return { path, what: noState(parent, Object.keys(states)) }
    if (line.includes(parent)) return { path, what: `${[...line, parent].join(' in ')} goes round` }
    line.push(parent)
    const next = states[parent]
    parent = isRecord(next) ? next.parent : undefined
  }
  return undefined
}

function wrongReceivers(path: string, on: unknown, commands: readonly string[]): Wrong | undefined {
  if (on === undefined) return undefined
  if (!isRecord(on)) return { path, what: 'give an object with a function for each command that this state receives' }
  for (const [command, receive] of Object.entries(on)) {
    if (!commands.includes(command)) return { path: `${path}.${command}`, what: 'there is no command of this name' }
    const wrong = wrongFunction(`${path}.${command}`, receive)
    if (wrong !== undefined) return wrong
  }
  return undefined
}

function wrongFunction(path: string, value: unknown): Wrong | undefined {
  if (value === undefined) return undefined
  if (typeof value !== 'function') return { path, what: 'give a function' }
  return value.constructor.name === 'Function' ? undefined : { path, what: 'make it a plain function, neither async nor a generator' }
}

function wrongRenames(renamed: unknown, names: readonly string[]): Wrong | undefined {
  if (renamed === undefined) return undefined
  if (!isRecord(renamed))
    return { path: 'renamedStates', what: "give an object with a state for each former name, such as { Ajar: 'Open' }" }
  for (const [former, now] of Object.entries(renamed)) {
    const path = `renamedStates.${former}`
    const wrong = wrongName(former) ?? (names.includes(former) ? 'the type still has this state' : undefined)
    if (wrong !== undefined) return { path, what: wrong }
    if (typeof now !== 'string' || !names.includes(now)) return { path, what: `there is no state ${String(now)}, only ${names.join(', ')}` }
  }
  return undefined
}

function noState(named: unknown, names: readonly string[]): string {
  return `there is no state ${typeof named === 'string' ? named : `of ${typeof named}`}, only ${names.join(', ')}`
}
