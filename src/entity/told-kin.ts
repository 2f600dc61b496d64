import { LIFECYCLE_EVENT, MESSAGE_EVENT } from '#schema/index.js'
import type { OutboxRow } from './outbox.js'

/** What a command did to those whom the entity has to do with, as data, for tests of decisions. */
export type ToldKin =
  | { readonly spawn: string }
  | { readonly stop: string }
  | { readonly watch: string }
  | { readonly unwatch: string }
  /** The code. */
  | { readonly exit: string }

const BY_COMMAND: ReadonlyMap<unknown, (to: string) => ToldKin> = new Map([
  ['#start', (to: string): ToldKin => ({ spawn: to })],
  ['#stop', (to: string): ToldKin => ({ stop: to })],
  ['#watch', (to: string): ToldKin => ({ watch: to })],
  ['#unwatch', (to: string): ToldKin => ({ unwatch: to })],
])

/** Empty for a row that tells nothing by itself; undefined for a message that a handler told. */
export function toldKin({ event, data }: OutboxRow): readonly ToldKin[] | undefined {
  if (event === LIFECYCLE_EVENT) {
    const isExit = data['of'] === 'self' && data['what'] === 'stopped'
    return isExit ? [{ exit: data['code'] as string }] : []
  }
  const command = data['command']
  if (event !== MESSAGE_EVENT || typeof command !== 'string' || !command.startsWith('#')) return undefined
  const told = BY_COMMAND.get(command)
  return told === undefined ? [] : [told(data['to'] as string)]
}
