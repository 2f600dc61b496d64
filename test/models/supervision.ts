import type { SupervisionStrategy } from '#entity/supervise.js'
import type { Directive } from '#entity/kin.js'

export interface ModelSupervision {
  readonly strategy: SupervisionStrategy
  readonly onError: Directive
  readonly restarts: number
  readonly hasBackOff: boolean
}

interface ModelPress {
  total: number
  /** Nobody's child that was never stopped is `free`. */
  phase: 'free' | 'running' | 'waiting' | 'stopped'
  /** Of its own errors, since it was spawned. */
  restarts: number
}

/** What a command to a press comes to. */
export type ModelAnswer = 'done' | 'STOPPED' | 'SUSPENDED' | 'DECIDE_FAILED'

/**
 * A cell that nobody supervises and its presses, as a person would tell it: everything is over at once, nothing is stored, and there is one place where everything is known. Each press is told
 * to add 1 when it begins.
 */
export class SupervisionModel {
  readonly #supervision: ModelSupervision
  readonly #presses = new Map<string, ModelPress>()
  /** In the order in which they were spawned. */
  #children: string[] = []

  constructor(supervision: ModelSupervision) {
    this.#supervision = supervision
  }

  get children(): readonly string[] {
    return this.#children.map((name) => `press/${name} ${this.#press(name).phase}`)
  }

  total(name: string): number {
    return this.#press(name).total
  }

  spawn(name: string): void {
    if (this.#children.includes(name)) return
    const press = this.#press(name)
    press.total = press.phase === 'stopped' ? 1 : press.total + 1
    press.phase = 'running'
    press.restarts = 0
    this.#children.push(name)
  }

  stop(name: string): void {
    if (!this.#children.includes(name)) return
    this.#press(name).phase = 'stopped'
    this.#children = this.#children.filter((one) => one !== name)
  }

  leave(name: string): ModelAnswer {
    const down = this.#down(name)
    if (down !== undefined) return down
    this.#press(name).phase = 'stopped'
    this.#children = this.#children.filter((one) => one !== name)
    return 'done'
  }

  work(name: string, amount: number): ModelAnswer {
    const down = this.#down(name)
    if (down !== undefined) return down
    this.#press(name).total += amount
    return 'done'
  }

  fail(name: string): ModelAnswer {
    const down = this.#down(name)
    if (down !== undefined) return down
    if (this.#children.includes(name)) this.#errored(name)
    return 'DECIDE_FAILED'
  }

  /** Longer than any back-off. */
  wait(): void {
    for (const name of this.#children) if (this.#press(name).phase === 'waiting') this.#begin(name)
  }

  #errored(name: string): void {
    const { onError, strategy, restarts, hasBackOff } = this.#supervision
    const counted = strategy === 'one-for-one' ? [name] : this.#children
    const before = counted.reduce((sum, one) => sum + this.#press(one).restarts, 0)
    if (onError === 'resume') return
    if (onError === 'stop') this.stop(name)
    else if (onError === 'escalate' || before >= restarts) for (const child of [...this.#children]) this.stop(child)
    else {
      this.#press(name).restarts++
      const first = strategy === 'rest-for-one' ? this.#children.indexOf(name) : 0
      const group = strategy === 'one-for-one' ? [name] : this.#children.slice(first)
      for (const one of group) {
        if (hasBackOff) this.#press(one).phase = 'waiting'
        else this.#begin(one)
      }
    }
  }

  #begin(name: string): void {
    const press = this.#press(name)
    press.total = 1
    press.phase = 'running'
  }

  #down(name: string): 'STOPPED' | 'SUSPENDED' | undefined {
    const { phase } = this.#press(name)
    if (phase === 'stopped') return 'STOPPED'
    return phase === 'waiting' ? 'SUSPENDED' : undefined
  }

  #press(name: string): ModelPress {
    const press = this.#presses.get(name) ?? { total: 0, phase: 'free', restarts: 0 }
    this.#presses.set(name, press)
    return press
  }
}
