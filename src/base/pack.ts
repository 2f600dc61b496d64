import { Packr, Unpackr } from 'msgpackr'

const packr = new Packr({ useRecords: false, moreTypes: true })
const unpackr = new Unpackr({ useRecords: false, moreTypes: true })

/** Plain msgpack without shared structures: what one process packs, its successor can read. For replies, refusals and rare messages. */
export function pack(value: unknown): Uint8Array {
  return new Uint8Array(packr.pack(value))
}

export function unpack<T = unknown>(bytes: Uint8Array): T {
  return unpackr.unpack(bytes) as T
}
