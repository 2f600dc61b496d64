/** Copies whole words: up to three bytes more than `length`, where those behind are written later. Both places are whole words from the ends of their frames. */
export function copyWords(from: DataView, fromOffset: number, to: DataView, toOffset: number, length: number): void {
  for (let at = 0; at < length; at += 4) to.setInt32(toOffset + at, from.getInt32(fromOffset + at, true), true)
}
