import type { AnyStateMachine, AnyStateNode } from 'xstate'

/** The value of a machine's state: a name, or by region or state what is below it. */
export type StateValue = string | { readonly [key: string]: StateValue }

/** The paths, such as `on.drum.filling`, of all states that have none below them: in these a machine comes to rest. In document order. */
export function leavesOf(machine: AnyStateMachine): string[] {
  const leaves: string[] = []
  const walk = (node: AnyStateNode): void => {
    if (node.type === 'atomic' || node.type === 'final') leaves.push(node.path.join('.'))
    for (const child of Object.values(node.states) as AnyStateNode[]) walk(child)
  }
  walk(machine.root as AnyStateNode)
  return leaves
}

/** The paths of the leaves that a value stands for: one, or one for each region of a parallel state. */
export function pathsOf(value: StateValue, above = ''): string[] {
  const below = (key: string): string => (above === '' ? key : `${above}.${key}`)
  if (typeof value === 'string') return [below(value)]
  const keys = Object.keys(value)
  return keys.length === 0 ? [above] : keys.flatMap((key) => pathsOf(value[key] as StateValue, below(key)))
}

/** The value of a machine in which these leaves are current. */
export function valueOf(machine: AnyStateMachine, paths: readonly string[]): StateValue {
  const valueAt = (node: AnyStateNode, below: readonly (readonly string[])[]): StateValue => {
    const keys = [...new Set(below.map(([key]) => key as string))]
    const inner = (key: string): StateValue => {
      const rest = below.filter(([first]) => first === key).map((path) => path.slice(1))
      return rest.every((path) => path.length === 0) ? {} : valueAt(node.states[key] as AnyStateNode, rest)
    }
    const [only] = keys
    if (node.type !== 'parallel' && only !== undefined) {
      const value = inner(only)
      return typeof value === 'object' && Object.keys(value).length === 0 ? only : { [only]: value }
    }
    return Object.fromEntries(keys.map((key) => [key, inner(key)]))
  }
  return valueAt(
    machine.root as AnyStateNode,
    paths.filter((path) => path !== '').map((path) => path.split('.')),
  )
}
