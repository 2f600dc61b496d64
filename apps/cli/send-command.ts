import { exactJson } from '#base/exact-json.js'
import { messageOf } from '#base/errors.js'
import type { Settlement } from '#ingest/index.js'
import type { connectDoor } from '#runtime/door-access.js'
import type { Output } from './output.js'

type ConnectedDoor = Awaited<ReturnType<typeof connectDoor>>

export interface SendAnswer {
  readonly ok: boolean
  readonly version?: number
  readonly reply?: unknown
  readonly refused?: string
  readonly detail?: unknown
  /** Neither done nor refused by the entity: its code threw, or the plant cannot take the command. */
  readonly error?: string
}

/** Resolves with the answer once it is durable, or with the error over which there will be none. Waits while the plant is full. */
export async function sendTo(door: ConnectedDoor, envelope: Parameters<ConnectedDoor['offer']>[0]): Promise<SendAnswer> {
  const settlement = await new Promise<Settlement>((resolve) => {
    const offer = () => {
      if (door.failure !== undefined) resolve({ kind: 'failed', message: messageOf(door.failure) })
      else if (door.offer(envelope, 'always', resolve) === 'full') door.onRoom(offer)
    }
    offer()
  })
  return answerOf(settlement)
}

export function printAnswer(answer: SendAnswer, output: Output): void {
  if (output.isJson) output.line(exactJson(answer))
  else if (answer.ok)
    output.line(
      `done${answer.version === undefined ? '' : `, version ${answer.version}`}${answer.reply === undefined ? '' : `: ${exactJson(answer.reply)}`}`,
    )
  else
    output.line(
      output.tone(
        'red',
        answer.refused === undefined ? `failed: ${answer.error}` : `refused: ${answer.refused} ${exactJson(answer.detail)}`,
      ),
    )
}

function answerOf(settlement: Settlement): SendAnswer {
  switch (settlement.kind) {
    case 'done':
      return { ok: true, version: settlement.version, reply: settlement.reply }
    case 'refused':
      return { ok: false, version: settlement.version, refused: settlement.code, detail: settlement.detail }
    case 'failed':
      return { ok: false, error: settlement.message }
    case 'forgotten':
      return { ok: false, error: 'done before; its answer is no longer known' }
  }
}
