import type { ToldTarget } from './volatile-message.js'

const TARGET = Symbol('target')

type Send = (target: ToldTarget, commandIndex: number, data: unknown, options: unknown) => unknown
type Handle = new (target: ToldTarget) => object

/**
 * The class of what `tell` or `ask` of one type gives: one function per command, so that the compiler knows its data. Getters of a prototype, since a
 * function for each command of each entity would cost more than telling does (bench/actors.ts); each function knows its target by itself.
 */
export function handleClass(commandNames: readonly string[], send: Send): Handle {
  class ToldHandle {
    readonly [TARGET]: ToldTarget

    constructor(target: ToldTarget) {
      this[TARGET] = target
    }
  }
  for (const [index, name] of commandNames.entries()) {
    Object.defineProperty(ToldHandle.prototype, name, {
      enumerable: true,
      get(this: ToldHandle) {
        const target = this[TARGET]
        return (data: unknown, options?: unknown) => send(target, index, data, options)
      },
    })
  }
  return ToldHandle
}
