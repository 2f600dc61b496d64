import { loadRival } from './rivals.js'

/** Actors in a ring. Both resolve with how many messages were handed on, or asks answered, from these actors on, `left` more than one each. */
export interface ActorRing {
  tell(starts: readonly number[], left: number): Promise<number>
  ask(starts: readonly number[], left: number): Promise<number>
}

interface Nact {
  start(): unknown
  spawnStateless(parent: unknown, handle: (message: never, context: { readonly self: unknown }) => unknown, name: string): unknown
  dispatch(actor: unknown, message: unknown, sender?: unknown): void
  query(actor: unknown, message: (replyTo: unknown) => unknown, timeoutMs: number): Promise<unknown>
}

type NactMessage = { readonly left: number; readonly replyTo?: unknown; readonly what: 'hop' | 'look' | 'startAsking' }

const ASK_MS = 60_000

/** Actors of nact, which holds their messages in a queue each and takes turns by setImmediate. An actor asks by promise. */
export function nactRing(count: number): Promise<ActorRing> {
  const nact = loadRival('nact') as Nact
  const system = nact.start()
  const counted = countdown()
  const actors: unknown[] = Array.from({ length: count }, (_, index) =>
    nact.spawnStateless(
      system,
      async ({ what, left, replyTo }: NactMessage) => {
        const next = actors[(index + 1) % count]
        if (what === 'look') return nact.dispatch(replyTo, left)
        if (what === 'hop') {
          counted.add()
          if (left > 0) nact.dispatch(next, { what, left: left - 1 })
          return
        }
        for (let more = left; more >= 0; more--) {
          await nact.query(next, (self) => ({ what: 'look', left: more, replyTo: self }), ASK_MS)
          counted.add()
        }
      },
      `node-${index}`,
    ),
  )
  const run =
    (what: 'hop' | 'startAsking') =>
    (starts: readonly number[], left: number): Promise<number> => {
      const all = counted.until(starts.length * (left + 1))
      for (const start of starts) nact.dispatch(actors[start], { what, left })
      return all
    }
  return Promise.resolve({ tell: run('hop'), ask: run('startAsking') })
}

interface XState {
  readonly assign: (assignment: object) => unknown
  readonly enqueueActions: (collect: (args: XStateArguments) => void) => unknown
  readonly createMachine: (config: object) => unknown
  readonly createActor: (machine: unknown) => XStateActor
}

interface XStateActor {
  start(): XStateActor
  send(event: object): void
}

interface XStateArguments {
  readonly context: { readonly next: XStateActor }
  readonly event: { readonly left: number; readonly from: XStateActor }
  readonly self: XStateActor
  readonly enqueue: { sendTo(actor: XStateActor, event: object): void }
}

/** Actors of XState, each a machine of one state, which has its messages delivered at once. It has no asks: who is asked sends an event back. */
export function xstateRing(count: number): Promise<ActorRing> {
  const { assign, createActor, createMachine, enqueueActions } = loadRival('xstate') as XState
  const counted = countdown()
  const machine = createMachine({
    context: {},
    on: {
      link: { actions: assign({ next: ({ event }: { event: { next: XStateActor } }) => event.next }) },
      hop: {
        actions: enqueueActions(({ context, event, enqueue }) => {
          counted.add()
          if (event.left > 0) enqueue.sendTo(context.next, { type: 'hop', left: event.left - 1 })
        }),
      },
      startAsking: {
        actions: enqueueActions(({ context, event, enqueue, self }) => {
          enqueue.sendTo(context.next, { type: 'look', left: event.left, from: self })
        }),
      },
      look: {
        actions: enqueueActions(({ event, enqueue }) => enqueue.sendTo(event.from, { type: 'onLook', left: event.left })),
      },
      onLook: {
        actions: enqueueActions(({ context, event, enqueue, self }) => {
          counted.add()
          if (event.left > 0) enqueue.sendTo(context.next, { type: 'look', left: event.left - 1, from: self })
        }),
      },
    },
  })
  const actors = Array.from({ length: count }, () => createActor(machine).start())
  for (const [index, actor] of actors.entries()) actor.send({ type: 'link', next: actors[(index + 1) % count] })
  const run =
    (type: 'hop' | 'startAsking') =>
    (starts: readonly number[], left: number): Promise<number> => {
      const all = counted.until(starts.length * (left + 1))
      for (const start of starts) actors[start]?.send({ type, left })
      return all
    }
  return Promise.resolve({ tell: run('hop'), ask: run('startAsking') })
}

function countdown() {
  let count = 0
  let wanted = 0
  let done: (count: number) => void = () => undefined
  return {
    add(): void {
      if (++count === wanted) done(count)
    },
    until(more: number): Promise<number> {
      count = 0
      wanted = more
      return new Promise((resolve) => (done = resolve))
    },
  }
}
