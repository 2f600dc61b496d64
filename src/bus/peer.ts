/**
 * The process at the other end, as far as waking it goes: the word that it sets before it sleeps, and its bell. One per process, however
 * many channels lead to it.
 */
export interface Peer {
  /** `words[index]` says how the process waits: AWAKE, PARKED or SPINNING. Set by its owner; set back to AWAKE by whoever rings. */
  readonly words: Int32Array
  readonly index: number
  /** Wakes the process. Never blocks and never throws because the process is gone. */
  ring(): void
}

/** It works, and may park at any time. */
export const AWAKE = 0
/** It sleeps, or is about to. */
export const PARKED = 1
/** It spins and never parks, until it says AWAKE again: nobody has to look whether to wake it. */
export const SPINNING = 2

/** Stands for an end that never sleeps, or that wakes by itself often enough. */
export const NO_PEER: Peer = { words: new Int32Array([SPINNING]), index: 0, ring: () => {} }

const IS_X64 = process.arch === 'x64'

/**
 * Stores a position that the peer may be waiting for, at the lowest price that is right, and answers whether the peer is to be rung with
 * `ringIfParked`.
 *
 * To a spinning peer nothing but order is owed: everything stored before comes before this store. On x64 that is what a plain store does; an
 * atomic one would cost as much as the rest of the frame. Whoever takes over from a spinning process says AWAKE first; a store that was on its
 * way then is found when it looks again.
 *
 * SYNC parked: to others the store is sequentially consistent. An x64 processor empties its store buffer in it, so that the plain look behind it
 * is not early, and no compiler moves a look over it. Elsewhere the look is a sequentially consistent load.
 */
export function storePosition(words: Int32Array, word: number, position: number, peerWords: Int32Array, peerIndex: number): boolean {
  if (IS_X64) {
    if (peerWords[peerIndex] === SPINNING) {
      words[word] = position
      return false
    }
    Atomics.store(words, word, position)
    return peerWords[peerIndex] === PARKED
  }
  Atomics.store(words, word, position)
  return Atomics.load(peerWords, peerIndex) === PARKED
}

/**
 * To be called after the store that the peer may be waiting for; says whether it rang. Of several callers only one rings. If it dies
 * between the two steps the ring is lost: sleepers look again by themselves.
 *
 * SYNC parked: the store before this call and the load in it are sequentially consistent, and so are the sleeper's store of its parked
 * word and its look for work after that. One of the two always sees the other.
 */
export function ringIfParked(peer: Peer): boolean {
  if (Atomics.compareExchange(peer.words, peer.index, PARKED, AWAKE) !== PARKED) return false
  peer.ring()
  return true
}
