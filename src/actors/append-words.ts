import { type AppendNumbers, OUTCOME_REPLY } from '#journal/append-frame.js'

/** Mutable twin of AppendNumbers, filled anew for each append. */
export type Header = { -readonly [Key in keyof AppendNumbers]: AppendNumbers[Key] }

export function emptyHeader(term: number): Header {
  return {
    number: 0,
    term,
    expectedVersion: 0,
    baseTerm: 0,
    baseNumber: 0,
    shard: 0,
    rowCount: 0,
    at: 0,
    accepted: 0,
    sequence: 0,
    entityBytes: 0,
    sourceBytes: 0,
    correlationBytes: 0,
    causationBytes: 0,
    outcomeBytes: 0,
    outcomeKind: OUTCOME_REPLY,
    flags: 0,
  }
}

/** Copies whole words: up to three bytes more than `length`, where those behind are written later. Both places are whole words from the ends of their frames. */
export function copyWords(from: DataView, fromOffset: number, to: DataView, toOffset: number, length: number): void {
  for (let at = 0; at < length; at += 4) to.setInt32(toOffset + at, from.getInt32(fromOffset + at, true), true)
}
