import type { ToldTarget } from './volatile-message.js'

const TARGET = Symbol('target')
const SENDS = Symbol('sends')

type Send = (target: ToldTarget, commandIndex: number, data: unknown, options: unknown) => unknown
type Handle = new (target: ToldTarget) => object

/**
 * The class of what `tell` or `ask` of one type gives: one function per command, so that the compiler knows its data. A function is
 * made when it is used for the first time: those for all commands of all entities would cost more than telling does (bench/actors.ts).
 */
export function handleClass(commandNames: readonly string[], send: Send): Handle {
  class ToldHandle {
    readonly [TARGET]: ToldTarget
    /** By command, once it has been used. */
    readonly [SENDS]: (((data: unknown, options?: unknown) => unknown) | undefined)[] = []

    constructor(target: ToldTarget) {
      this[TARGET] = target
    }
  }
  for (const [index, name] of commandNames.entries()) {
    Object.defineProperty(ToldHandle.prototype, name, {
      enumerable: true,
      get(this: ToldHandle) {
        const target = this[TARGET]
        return (this[SENDS][index] ??= (data, options) => send(target, index, data, options))
      },
    })
  }
  return ToldHandle
}
