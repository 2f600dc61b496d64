/**
 * The process at the other end, as far as waking it goes: the word that it sets before it sleeps, and its bell. One per process, however
 * many channels lead to it.
 */
export interface Peer {
  /** `words[index]` is 1 while the process sleeps or is about to, else 0. Set by its owner; cleared by whoever rings. */
  readonly words: Int32Array
  readonly index: number
  /** Wakes the process. Never blocks and never throws because the process is gone. */
  ring(): void
}

/** Stands for an end that never sleeps, or that wakes by itself often enough. */
export const NO_PEER: Peer = { words: new Int32Array(1), index: 0, ring: () => {} }

const IS_X64 = process.arch === 'x64'

/**
 * The look at a peer's parked word that follows an `Atomics.store` of what it waits for, at the price of a load where that is right.
 *
 * SYNC parked: an x64 processor empties its store buffer in an atomic store, so that no later load overtakes it; the compiler cannot move one over
 * it either. Elsewhere it takes a sequentially consistent load.
 */
export function mayBeParked(words: Int32Array, index: number): boolean {
  return (IS_X64 ? words[index] : Atomics.load(words, index)) !== 0
}

/**
 * To be called after the store that the peer may be waiting for; says whether it rang. Of several callers only one rings. If it dies
 * between the two steps the ring is lost: sleepers look again by themselves.
 *
 * SYNC parked: the store before this call and the load in it are sequentially consistent, and so are the sleeper's store of its parked
 * word and its look for work after that. One of the two always sees the other.
 */
export function ringIfParked(peer: Peer): boolean {
  if (Atomics.load(peer.words, peer.index) === 0) return false
  if (Atomics.exchange(peer.words, peer.index, 0) === 0) return false
  peer.ring()
  return true
}
