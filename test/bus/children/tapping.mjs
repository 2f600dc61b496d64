/**
 * A tap with no lease at all, so that the producer fences it at every look, in a process that does nothing but look: plain JavaScript over the
 * compiled bus. Its first argument is `{ directory, name, seed }` as JSON; it says `ready` on stdout, and what it saw as JSON once its stdin ends.
 */
import { join } from 'node:path'
import { Prng } from '#base/prng.js'
import { CopiedFrames } from '#bus/copied-frames.js'
import { Tap } from '#bus/tap.js'
import { Mapping, ownProcess } from '#shm/index.js'
import { readNumbered } from '../numbered.mjs'

const { directory, name, seed } = JSON.parse(process.argv[2])
const LOOKS_PER_TURN = 1000
const prng = new Prng(seed)
const mapping = Mapping.open(join(directory, `${name}.ring`))
const tap = new Tap(mapping.buffer, { ...ownProcess(), leaseMs: 0 })
const target = new Uint8Array(tap.capacityBytes)
const view = new DataView(target.buffer)
const frames = new CopiedFrames(tap)
const seen = { frames: 0, bytes: 0, gaps: 0, lostBytes: 0, jumps: 0, wrong: 0, backwards: 0 }
let last = -1
let isOver = false
process.stdin.on('end', () => (isOver = true)).resume()
process.stdout.write('ready\n')

for (;;) {
  for (let look = 0; look < LOOKS_PER_TURN; look++) {
    take(tap.poll(target))
    for (let wait = prng.below(100); wait > 0; wait--) Atomics.load(new Int32Array(1), 0)
  }
  if (isOver && tap.waitingBytes === 0) break
  await new Promise((resolve) => setImmediate(resolve))
}
tap.detach()
process.stdout.write(`${JSON.stringify({ ...seen, last })}\n`)

function take(found) {
  if (found === 'gap') {
    seen.gaps++
    seen.lostBytes += tap.gapBytes
  }
  if (found !== 'frames') return
  seen.bytes += tap.byteCount
  frames.over(target, tap.byteCount, tap.startPosition | 0)
  while (frames.next() === 'frame') {
    const number = readNumbered(view, frames.offset, frames.length)
    if (number < 0) seen.wrong++
    else if (number <= last) seen.backwards++
    else if (number !== last + 1) seen.jumps++
    last = Math.max(last, number)
    seen.frames++
  }
}
