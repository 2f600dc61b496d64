import { MillraceError } from './errors.js'
import { hash32 } from './hash.js'

/** `type/name`, UTF-8, at most 200 bytes: the identity of one entity in a plant. */
export type EntityId = `${string}/${string}`

export const ENTITY_ID_BYTES_MAX = 200

/** How many shards a data directory is made with. Recorded in it; one made with another count keeps its own. */
export const SHARD_COUNT_DEFAULT = 64

export const SHARD_HASH_NAME = 'fnv1a-fmix32'

const utf8 = new TextEncoder()

/** Joins a type and a name, or throws ERR_ENTITY_ID with what is wrong with them. */
export function entityId(type: string, name: string): EntityId {
  const id: EntityId = `${type}/${name}`
  const wrong = whatIsWrongWith(type, name, id)
  if (wrong !== undefined) throw badId(id, wrong)
  return id
}

/** Takes `press/press-1` apart. Throws ERR_ENTITY_ID when it is not an entity id. */
export function parseEntityId(id: string): { readonly type: string; readonly name: string } {
  const slash = id.indexOf('/')
  const type = slash < 0 ? '' : id.slice(0, slash)
  const name = slash < 0 ? '' : id.slice(slash + 1)
  const wrong = slash < 0 ? 'it has no slash between type and name' : whatIsWrongWith(type, name, id)
  if (wrong !== undefined) throw badId(id, wrong)
  return { type, name }
}

/** The shard of an entity id given as UTF-8. */
export function shardOf(idBytes: Uint8Array, shardCount: number, start = 0, end = idBytes.length): number {
  return hash32(idBytes, start, end) % shardCount
}

export function shardOfId(id: string, shardCount: number): number {
  return shardOf(utf8.encode(id), shardCount)
}

function whatIsWrongWith(type: string, name: string, id: string): string | undefined {
  if (!/^[a-z][a-z0-9-]*$/.test(type)) return 'its type is not lower-case letters, digits and dashes'
  if (name === '') return 'its name is empty'
  if (/[\u0000-\u001f\u007f]/.test(name)) return 'its name has a control character'
  if (!id.isWellFormed()) return 'its name is not valid Unicode'
  if (utf8.encode(id).length > ENTITY_ID_BYTES_MAX) return `it is longer than ${ENTITY_ID_BYTES_MAX} bytes`
  return undefined
}

function badId(id: string, wrong: string): MillraceError {
  return new MillraceError('ERR_ENTITY_ID', {
    fact: `not an entity id, since ${wrong}`,
    action: 'operator',
    values: { id: id.slice(0, 220) },
    next: 'use type/name, such as press/press-1',
  })
}
