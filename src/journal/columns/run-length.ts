import type { ByteWriter } from '#journal/bytes.js'

/** How many runs of values with the same bits there are. */
export function countRuns(words: Uint32Array, count: number, wordsPerValue: 1 | 2): number {
  let runs = 1
  if (wordsPerValue === 1) for (let index = 1; index < count; index++) runs += words[index] === words[index - 1] ? 0 : 1
  else for (let at = 2; at < 2 * count; at += 2) runs += words[at] === words[at - 2] && words[at + 1] === words[at - 1] ? 0 : 1
  return runs
}

/** About how many bytes `writeRuns` writes. */
export function runLengthBytes(runs: number, wordsPerValue: 1 | 2): number {
  return runs * (4 * wordsPerValue + 1.5)
}

/** varint runs, per run varint length, per run one value. */
export function writeRuns(words: Uint32Array, count: number, wordsPerValue: 1 | 2, out: ByteWriter): void {
  out.varint(countRuns(words, count, wordsPerValue))
  let length = 0
  for (let index = 0; index < count; index++) {
    length++
    if (!isLast(words, index, count, wordsPerValue)) continue
    out.varint(length)
    length = 0
  }
  for (let index = 0; index < count; index++) {
    if (!isLast(words, index, count, wordsPerValue)) continue
    for (let word = 0; word < wordsPerValue; word++) out.u32(words[index * wordsPerValue + word] as number)
  }
}

function isLast(words: Uint32Array, index: number, count: number, wordsPerValue: 1 | 2): boolean {
  if (index + 1 === count) return true
  const at = index * wordsPerValue
  return words[at] !== words[at + wordsPerValue] || (wordsPerValue === 2 && words[at + 1] !== words[at + 3])
}
