import type { Clock } from '#base/clock.js'
import type { Door, IngestCommand, Settlement } from './door.js'

/** One command's end as the client reads it. */
export type CommandAnswer =
  | { readonly ok: true; readonly version: number; readonly reply?: unknown }
  | { readonly ok: false; readonly version: number; readonly refused: string; readonly detail?: unknown }
  | { readonly ok: false; readonly error: string }

/** How far a request came. All that was taken is durable; `answers` has one for each. */
export interface RequestResult {
  readonly kind: 'done' | 'full' | 'rejected'
  readonly answers: readonly CommandAnswer[]
  /** Of the command that the plant can never take. */
  readonly reason?: string
}

/** A request waits for room as long as some command of it was taken within this time. */
const ROOM_WITHIN_MS = 1000

/**
 * Takes the commands of one request in order, waiting a while where the door is full, and resolves when all that was taken is durable. After
 * the first command that was not taken, none is.
 */
export async function takeCommands(door: Door, commands: readonly IngestCommand[], clock: Clock): Promise<RequestResult> {
  const settled: Promise<CommandAnswer>[] = []
  let kind: RequestResult['kind'] = 'done'
  let reason: string | undefined
  for (const command of commands) {
    const taken = await takeOne(door, command, clock)
    if (typeof taken === 'string' || 'rejected' in taken) {
      kind = taken === 'full' ? 'full' : 'rejected'
      if (typeof taken !== 'string') reason = taken.rejected
      break
    }
    settled.push(taken.answer)
  }
  return { kind, answers: await Promise.all(settled), ...(reason === undefined ? {} : { reason }) }
}

type Taken = { readonly answer: Promise<CommandAnswer> } | { readonly rejected: string } | 'full'

function takeOne(door: Door, command: IngestCommand, clock: Clock): Promise<Taken> {
  return new Promise((resolve) => {
    let settle: (answer: CommandAnswer) => void
    const answer = new Promise<CommandAnswer>((done) => {
      settle = done
    })
    let isOver = false
    let cancel: (() => void) | undefined
    const offer = () => {
      if (isOver) return
      const offered = door.offer(command, 'always', (settlement) => settle(answerOf(settlement)))
      if (offered === 'full') {
        cancel ??= clock.after(ROOM_WITHIN_MS, () => {
          isOver = true
          resolve('full')
        })
        door.onRoom(offer)
        return
      }
      isOver = true
      cancel?.()
      resolve(offered === 'accepted' ? { answer } : offered)
    }
    offer()
  })
}

function answerOf(settlement: Settlement): CommandAnswer {
  switch (settlement.kind) {
    case 'done':
      return { ok: true, version: settlement.version, ...(settlement.reply === undefined ? {} : { reply: settlement.reply }) }
    case 'refused':
      return {
        ok: false,
        version: settlement.version,
        refused: settlement.code,
        ...(settlement.detail === undefined ? {} : { detail: settlement.detail }),
      }
    case 'forgotten':
      return { ok: true, version: 0 }
    case 'failed':
      return { ok: false, error: settlement.message }
  }
}
