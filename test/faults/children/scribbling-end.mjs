/**
 * One end of a channel with checksums, over the compiled bus, that scribbles random bytes over the channel between its own calls: into the header, and
 * where the other end is not at work just then. Its first argument is `{ role, directory, seed, strategy }` as JSON. Says what it counted as a
 * line of JSON every few milliseconds; `quiet` on its input ends the scribbling, and the producer then sends the rest.
 */
import { setImmediate as turn } from 'node:timers/promises'
import { Prng } from '#base/prng.js'
import { distance, openChannel } from '#bus/index.js'
import { HEADER_BYTES, PUBLISHED_WORD, RELEASED_WORD } from '#bus/layout.js'
import { fillNumbered, numberedBytes, readNumbered } from '../../bus/numbered.mjs'

const { role, directory, seed, strategy } = JSON.parse(process.argv[2])
const CAPACITY_BYTES = 2048
const prng = new Prng(`${seed}-${role}`)
const said = { role, scribbles: 0, damages: 0, last: -1, wrong: 0, gaps: 0, isDone: false }
let isQuiet = false

function scribble(bytes, isHeader) {
  said.scribbles++
  if (isHeader) {
    // Some bytes of what the header says and counts, or one word, or all of a page that is mostly empty.
    const bound = prng.pick([1300, HEADER_BYTES])
    for (let count = 1 + prng.below(16); count > 0; count--) bytes[prng.below(bound)] = prng.below(256)
    return
  }
  const words = new Int32Array(bytes.buffer, 0, HEADER_BYTES / 4)
  const [released, published] = [words[RELEASED_WORD], words[PUBLISHED_WORD]]
  const [from, length] =
    role === 'producer' ? [published, CAPACITY_BYTES - distance(released, published)] : [released, distance(released, published)]
  if (length <= 0 || length > CAPACITY_BYTES) return
  for (let count = 1 + prng.below(16); count > 0; count--) {
    bytes[HEADER_BYTES + ((from + prng.below(length)) & (CAPACITY_BYTES - 1))] = prng.below(256)
  }
}

async function produce() {
  let next = 0
  /** Numbers of frames with their ends, until they are known to be released. */
  let unreleased = []
  const payloadOf = (number) => {
    const payload = new Uint8Array(numberedBytes(number))
    fillNumbered(new DataView(payload.buffer), 0, payload.length, number)
    return payload
  }
  const forget = (released) => {
    while (unreleased.length > 0 && distance(unreleased[0].end, released) >= 0) unreleased.shift()
  }
  const channel = openChannel({
    ...{ directory, name: 'scribbled', role, strategy, capacityBytes: CAPACITY_BYTES, checksums: true },
    onDamaged: ({ releasedPosition }) => {
      said.damages++
      forget(releasedPosition)
      next = unreleased[0]?.number ?? next
      unreleased = []
    },
  })
  const send = (number) => {
    if (!channel.trySend(payloadOf(number))) return false
    unreleased.push({ number, end: channel.producer.publishedPosition })
    return true
  }
  while (!isQuiet || next % 1000 !== 0) {
    if (send(next)) next++
    else {
      await channel.whenRoom(payloadOf(next).length)
      forget(channel.producer.releasedBefore)
    }
    if (prng.below(20) === 0) await turn()
    if (!isQuiet && prng.below(200) === 0) scribble(channel.producer.bytes, prng.below(4) !== 0)
  }
  for (;;) {
    try {
      await channel.whenReleased()
      break
    } catch (error) {
      if (error.code !== 'ERR_CHANNEL_CORRUPT') throw error
    }
  }
  said.last = next - 1
  said.isDone = true
}

function consume() {
  let expected = 0
  let isFirst = true
  const channel = openChannel({
    ...{ directory, name: 'scribbled', role, strategy, capacityBytes: CAPACITY_BYTES, checksums: true },
    onDamaged: () => {
      said.damages++
      isFirst = true
    },
  })
  channel.consume((offset, length) => {
    const number = readNumbered(channel.view, offset, length)
    if (number < 0 || (!isFirst && number !== expected)) said.wrong++
    // After a loss frames come again, from the last one known to be released; none is left out.
    if (isFirst && number > expected) said.gaps++
    isFirst = false
    expected = number + 1
    said.last = Math.max(said.last, number)
  })
  setInterval(() => {
    if (!isQuiet) scribble(channel.bytes, prng.below(2) === 0)
  }, 2)
}

process.stdin.on('data', () => {
  isQuiet = true
})
process.stdin.on('end', () => process.exit(0))
setInterval(() => process.stdout.write(`${JSON.stringify(said)}\n`), 20)
if (role === 'producer') await produce()
else consume()
