/**
 * What a command came to, on its way from a worker back to the door that took it. Little-endian, offsets in bytes from the start of the
 * payload:
 *
 *    0  u32 request
 *    4  u32 doorTerm
 *    8  u32 version        of the last row that the command stored; 0 when that is not known any more
 *   12  u32 kind           ANSWER_DONE …
 *   16  outcome bytes      msgpack: the reply (none at all for undefined), or [code, detail]; to the end of the frame
 */
export const ANSWER_FRAME = 1
export const ANSWER_HEADER_BYTES = 16

export const ANSWER_DONE = 1
export const ANSWER_REFUSED = 2
/** The command was done before, longer ago than outcomes are remembered. */
export const ANSWER_FORGOTTEN = 3

export function writeAnswer(
  request: number,
  doorTerm: number,
  version: number,
  kind: number,
  outcome: Uint8Array,
  bytes: Uint8Array,
  view: DataView,
  offset: number,
): void {
  view.setUint32(offset, request, true)
  view.setUint32(offset + 4, doorTerm, true)
  view.setUint32(offset + 8, version, true)
  view.setUint32(offset + 12, kind, true)
  if (outcome.length > 0) bytes.set(outcome, offset + ANSWER_HEADER_BYTES)
}
