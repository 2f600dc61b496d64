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

/** Actors of XState, each a machine of one state, which has its messages delivered at once. It has no asks: who is asked sends an event back. */
export async function xstateRing(count: number): Promise<ActorRing> {
  const { assign, createActor, enqueueActions, setup } = await import('xstate')
  const counted = countdown()
  type Ref = { send(event: NodeEvent): void }
  type NodeEvent =
    | { readonly type: 'link'; readonly next: Ref }
    | { readonly type: 'hop' | 'onLook' | 'startAsking'; readonly left: number }
    | { readonly type: 'look'; readonly left: number; readonly from: Ref }
  const machine = setup({ types: { context: {} as { next: Ref | undefined }, events: {} as NodeEvent } }).createMachine({
    context: { next: undefined },
    on: {
      link: { actions: assign({ next: ({ event }) => event.next }) },
      hop: {
        actions: enqueueActions(({ context, event, enqueue }) => {
          counted.add()
          if (event.left > 0) enqueue.sendTo(context.next as never, { type: 'hop', left: event.left - 1 } as never)
        }),
      },
      startAsking: {
        actions: enqueueActions(({ context, event, enqueue, self }) => {
          enqueue.sendTo(context.next as never, { type: 'look', left: event.left, from: self } as never)
        }),
      },
      look: {
        actions: enqueueActions(({ event, enqueue }) => {
          enqueue.sendTo(event.from as never, { type: 'onLook', left: event.left } as never)
        }),
      },
      onLook: {
        actions: enqueueActions(({ context, event, enqueue, self }) => {
          counted.add()
          if (event.left > 0) enqueue.sendTo(context.next as never, { type: 'look', left: event.left - 1, from: self } as never)
        }),
      },
    },
  })
  const actors = Array.from({ length: count }, () => createActor(machine).start())
  for (const [index, actor] of actors.entries()) actor.send({ type: 'link', next: actors[(index + 1) % count] as Ref })
  const run =
    (type: 'hop' | 'startAsking') =>
    (starts: readonly number[], left: number): Promise<number> => {
      const all = counted.until(starts.length * (left + 1))
      for (const start of starts) actors[start]?.send({ type, left })
      return all
    }
  return { tell: run('hop'), ask: run('startAsking') }
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
