/**
 * One of the two processes of wake-ups.test.ts, over the compiled bus. The sleeper parks whenever it has nothing to do and wakes only by its
 * bell; the driver spins and gives it something to do at random moments around its parking. The setup is JSON in the first argument; the
 * sleeper says when it is there, the driver says what it counted, as a line of JSON on stdout each.
 */
import { setImmediate as turn } from 'node:timers/promises'
import { systemClock } from '#base/clock.js'
import { Consumer, NO_FRAME, NO_PEER, Producer, runDutyCycle } from '#bus/index.js'
import { PUBLISHED_WORD } from '#bus/layout.js'
import { ringIfParked } from '#bus/peer.js'
import { allowedCores, Bell, Mapping, ownProcess, pinThread, RemoteBell } from '#shm/index.js'

const { task, sleeper, directory, seed, parksWanted, msMax, lostMs, sabotage } = JSON.parse(process.argv[2])

const PAYLOAD_BYTES = 8
/** So that nothing heals a wake-up that is lost. */
const NEVER_MS = Number.POSITIVE_INFINITY
/** The driver has proven its point then. */
const LOST_MAX = 3
const SHORT_MICROS = 1.5
const CYCLES_PER_TURN = 4096
const POLLS_PER_CLOCK_LOOK = 4096

const ring = Mapping.open(`${directory}/ring`).buffer
const state = Mapping.open(`${directory}/state`).buffer
const parked = { words: new Int32Array(state), index: 0 }
const counters = { values: new Float64Array(state), index: 16 }

const end = (peer) => ({ ...ownProcess(), term: 1, schemaHash: 0, peer })

function send(producer, number) {
  const offset = producer.tryClaim(PAYLOAD_BYTES, 0)
  if (offset < 0) return false
  producer.view.setFloat64(offset, number, true)
  producer.commit()
  producer.publish()
  return true
}

/** Answers how many frames there were. */
function takeAll(consumer, expected) {
  let count = 0
  for (let offset = consumer.next(); offset !== NO_FRAME; offset = consumer.next()) {
    const number = consumer.view.getFloat64(offset, true)
    if (number !== expected + count) throw new Error(`frame ${number} came where ${expected + count} was due`)
    count++
  }
  return count
}

/** A sleeper that takes frames, and one that fills the ring whenever there is room. */
const duties = {
  consumer() {
    const consumer = new Consumer(ring, end(NO_PEER))
    let taken = 0
    return {
      doWork() {
        const count = takeAll(consumer, taken)
        taken += count
        consumer.release(consumer.readPosition)
        return count
      },
      hasWork: () => consumer.hasFrames(),
    }
  },
  producer() {
    const producer = new Producer(ring, end(NO_PEER))
    let sent = 0
    return {
      doWork() {
        if (!send(producer, sent)) return 0
        sent++
        return 1
      },
      hasWork: () => producer.hasRoom(PAYLOAD_BYTES),
    }
  },
}

function sleep() {
  const duty = duties[sleeper]()
  const hasWork = sabotage === 'no-second-look' ? () => false : duty.hasWork
  const onError = (error) => {
    process.stderr.write(`${error.stack}\n`)
    process.exit(1)
  }
  const bell = Bell.open(`${directory}/bell`)
  const random = randomWaits(seed + 1)
  // The driver hears of an answer later than the sleeper takes to park: without this it would hardly ever meet it there.
  let hasAnswered = false
  const doWork = () => {
    if (hasAnswered) random.waitShortly()
    const count = duty.doWork()
    hasAnswered = count > 0
    return count
  }
  const options = { strategy: 'park', parked, counters, bell, clock: systemClock, lookAgainMs: NEVER_MS, onError }
  runDutyCycle({ doWork, hasWork }, options)
  say({ ready: true })
}

/** What the driver does in one cycle: it waits until the sleeper has answered the last one, and asks again at a random moment. */
const drives = {
  consumer(peer, random) {
    const producer = new Producer(ring, end(sabotage === 'early-ring' ? NO_PEER : peer))
    let sent = 0
    return {
      isAnswered: () => producer.releasedPosition() === producer.publishedPosition,
      ask() {
        random.wait()
        if (sabotage === 'early-ring') ringIfParked(peer)
        if (!send(producer, sent++)) throw new Error('the ring is full of released frames')
      },
    }
  },
  producer(peer, random) {
    const consumer = new Consumer(ring, end(sabotage === 'early-ring' ? NO_PEER : peer))
    const words = new Int32Array(ring)
    let taken = 0
    return {
      // The ring is full: the sleeper parks at any moment.
      isAnswered: () => ((Atomics.load(words, PUBLISHED_WORD) - consumer.releasedPosition) | 0) === consumer.capacityBytes,
      ask() {
        random.wait()
        taken += takeAll(consumer, taken)
        if (sabotage === 'early-ring') ringIfParked(peer)
        consumer.release(consumer.readPosition)
      },
    }
  },
}

async function drive() {
  const remote = new RemoteBell(`${directory}/bell`)
  const { isAnswered, ask } = drives[sleeper]({ ...parked, ring: () => remote.ring() }, randomWaits(seed))
  const count = (place) => counters.values[counters.index + place]
  const startMs = performance.now()
  let [cycles, lost, longestMs] = [0, 0, 0]
  while (count(0) < parksWanted && performance.now() - startMs < msMax && lost < LOST_MAX) {
    for (let cycle = 0; cycle < CYCLES_PER_TURN && lost < LOST_MAX; cycle++) {
      const waitedMs = waitFor(isAnswered)
      longestMs = Math.max(longestMs, waitedMs)
      if (waitedMs >= lostMs) {
        lost++
        remote.ring()
        waitFor(isAnswered)
      }
      ask()
      cycles++
    }
    await turn()
  }
  say({ cycles, parks: count(0), wokenByRing: count(1), wokenByTime: count(2), lost, longestMs: Math.round(longestMs) })
}

/** Spins until it is so; answers how many milliseconds that took if they were many, and no more than `lostMs`. */
function waitFor(isSo) {
  let startMs = 0
  for (let poll = 1; !isSo(); poll++) {
    if (poll % POLLS_PER_CLOCK_LOOK !== 0) continue
    const nowMs = performance.now()
    if (startMs === 0) startMs = nowMs
    if (nowMs - startMs >= lostMs) return nowMs - startMs
  }
  return startMs === 0 ? 0 : performance.now() - startMs
}

function randomWaits(from) {
  let bits = from | 1
  const next = () => {
    bits ^= bits << 13
    bits ^= bits >>> 17
    bits ^= bits << 5
    return (bits >>> 0) / 2 ** 32
  }
  const waitUpTo = (micros) => {
    const untilMs = performance.now() + (next() * micros) / 1000
    while (performance.now() < untilMs);
  }
  return {
    waitShortly: () => waitUpTo(SHORT_MICROS),
    /** Mostly about as long as the sleeper takes to park, sometimes until it sleeps, rarely until its core does. */
    wait() {
      const kind = next()
      waitUpTo(kind < 0.8 ? SHORT_MICROS : kind < 0.98 ? 4 : kind < 0.9995 ? 20 : 200)
    },
  }
}

function say(line) {
  process.stdout.write(`${JSON.stringify(line)}\n`)
}

// Whoever started this process is gone when its end of the pipe closes.
process.stdin.on('end', () => process.exit(0)).resume()
// On one core they would only take turns.
pinThread(allowedCores().at(task === 'sleep' ? 0 : -1))
if (task === 'sleep') sleep()
else {
  await drive()
  process.exit(0)
}
