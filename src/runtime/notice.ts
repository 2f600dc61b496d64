import { FAILED_EVENT, isPlainError, type PlainError } from '#processes/control-message.js'
import type { BusyCommand, SupervisionEvent } from '#processes/supervision-event.js'
import { ENTITIES_FENCED_EVENT, ROOM_EVENT } from './role-process.js'

/** What a process says that is worth telling at once, if that is the event. */
export function noticeIn(event: SupervisionEvent): string | undefined {
  switch (event.kind) {
    case 'reported':
      return event.name === ROOM_EVENT || event.name === ENTITIES_FENCED_EVENT
        ? (event.data as { readonly message: string }).message
        : undefined
    case 'long-turn':
      return `${whoIn(event)} has not turned for ${seconds(event.ms)}${busyWith(event.command)}; it is left alone up to processes.turnLimitMs`
    case 'hung':
      return event.sign === 'turn'
        ? `${whoIn(event)} has not turned for ${seconds(event.ageMs)}${busyWith(event.command)}, and is replaced`
        : undefined
    default:
      return undefined
  }
}

function whoIn({ role, slot, pid }: { readonly role: string; readonly slot: number | null; readonly pid: number }): string {
  return `${role}/${slot ?? 'spare'} (pid ${pid})`
}

function busyWith(command: BusyCommand | null): string {
  return command === null ? '' : `, executing ${command.command} of ${command.entity} for ${seconds(command.ms)} of that`
}

function seconds(ms: number): string {
  return `${(ms / 1000).toFixed(1)} s`
}

/** The error over which a process says that it ends, if that is the event. */
export function failureIn(event: SupervisionEvent): PlainError | undefined {
  return event.kind === 'reported' && event.name === FAILED_EVENT && isPlainError(event.data) ? event.data : undefined
}
