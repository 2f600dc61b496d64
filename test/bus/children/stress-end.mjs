/**
 * One end of the two-process stress: plain JavaScript over the compiled bus. Its first argument is
 * `{ task, directory, strategy, capacityBytes, checksums?, seed, count, sabotage?, sabotageAt? }` as JSON; its last line on stdout is what it came to. `receive` ends
 * with 1 at the first frame that is not what the seed says.
 */
import { distance, openChannel } from '#bus/index.js'
import { Dice, FrameStream } from '../frame-stream.mjs'

const setup = JSON.parse(process.argv[2])
const { directory, strategy, capacityBytes, checksums = false, seed, count, sabotage, sabotageAt = count >> 1 } = setup

/** A claim is tried so often before the end waits as its strategy says. */
const CLAIMS_MAX = 1000
/** Every so many frames publishing and releasing change their habits. */
const HABIT_FRAMES = 1 << 14
const WHIMS = 2

const tasks = {
  /** Claims, now and then too much or for nothing, fills, and publishes after one frame, some or many. */
  async send() {
    const channel = openChannel({ directory, name: 'stress', role: 'producer', strategy, capacityBytes, checksums })
    const { producer } = channel
    const words = new Int32Array(producer.bytes.buffer)
    const stream = new FrameStream(seed, producer.frameBytesMax)
    const dice = new Dice(seed + 1)
    let batch = 1
    const room = async (bytes, type) => {
      for (;;) {
        producer.publish()
        for (let tries = 0; tries < CLAIMS_MAX; tries++) {
          const offset = producer.tryClaim(bytes, type)
          if (offset >= 0) return offset
        }
        await channel.whenRoom(bytes)
      }
    }
    /** A whim is below WHIMS: to claim too much, to claim for nothing first, or none. */
    const put = async (whim) => {
      const { bytes, type } = stream
      const claimed = whim === 0 ? Math.min(bytes + dice.below(32), producer.frameBytesMax) : bytes
      let offset = producer.tryClaim(claimed, type)
      if (offset < 0) offset = await room(claimed, type)
      if (whim === 1) {
        producer.bytes.fill(0xee, offset, offset + claimed)
        producer.abort()
        offset = producer.tryClaim(claimed, type)
        if (offset < 0) offset = await room(claimed, type)
      }
      stream.write(words, producer.bytes, offset)
      if (claimed === bytes) producer.commit()
      else producer.commit(bytes)
      return offset
    }
    const sabotages = {
      async lose() {
        stream.draw()
        stream.skip()
        return 1
      },
      async duplicate() {
        const before = stream.state
        stream.draw()
        await put(WHIMS)
        stream.state = before
        return 0
      },
      async swap() {
        const before = stream.state
        stream.draw()
        stream.skip()
        stream.draw()
        await put(WHIMS)
        const after = stream.state
        stream.state = before
        stream.draw()
        await put(WHIMS)
        stream.state = after
        return 2
      },
      /** Publishes before the last byte is written, and writes it when the consumer has been there. */
      async tear() {
        stream.draw()
        const offset = await put(WHIMS)
        if (stream.bytes === 0) return -1
        const last = offset + stream.bytes - 1
        producer.bytes[last] ^= 1
        producer.publish()
        const giveUpAt = performance.now() + 10_000
        while (distance(channel.stat().readPosition, producer.position) > 0 && performance.now() < giveUpAt) {}
        producer.bytes[last] ^= 1
        return 1
      },
    }
    let sabotaged = 0
    for (let number = 0; number < count; number++) {
      if (number % HABIT_FRAMES === 0) batch = [1, 8, 128][dice.below(4)] ?? 16
      if (sabotage !== undefined && number >= sabotageAt && sabotaged <= 0) {
        sabotaged = await sabotages[sabotage]()
        if (sabotaged < 0) continue
        number += sabotaged - 1
        sabotaged = 1
        continue
      }
      stream.draw()
      const whim = dice.below(64)
      // Not awaited where there is room: a promise costs more than a frame.
      if (whim < WHIMS || !putAtOnce(producer, words, stream)) await put(whim)
      if (batch === 1 || dice.below(batch) === 0) producer.publish()
    }
    producer.publish()
    await channel.whenReleased()
    const { refusals, producer: end } = channel.stat()
    channel.close()
    return { sent: count, refusals, end }
  },

  /** Checks every byte; releases after one frame, some or many, and not always all that it has read. */
  receive() {
    const channel = openChannel({ directory, name: 'stress', role: 'consumer', strategy, capacityBytes, checksums })
    const { consumer, bytes } = channel
    const words = new Int32Array(bytes.buffer)
    const stream = new FrameStream(seed, capacityBytes / 4 - (checksums ? 12 : 8))
    const dice = new Dice(seed + 2)
    let [number, batch, held] = [0, 1, consumer.releasedPosition]
    const startedMs = performance.now()
    return new Promise((resolve, reject) => {
      // What is held back is let go when nothing more comes: else a producer would wait for room that is there.
      const timer = setInterval(() => consumer.release(consumer.readPosition), 1)
      const consume = (offset, length, type) => {
        stream.draw()
        if (length !== stream.bytes || type !== stream.type) throw new Error(`frame ${number} is another one`)
        const wrongAt = stream.check(words, bytes, offset)
        if (wrongAt >= 0) throw new Error(`frame ${number} is torn at byte ${wrongAt} of ${length}`)
        const end = consumer.endPosition
        if (number % HABIT_FRAMES === 0) batch = [1, 8, 128][dice.below(4)] ?? 16
        if (batch === 1 || dice.below(batch) === 0) {
          const position = dice.below(4) === 0 && distance(consumer.releasedPosition, held) > 0 ? held : end
          consumer.release(position)
          held = end
        }
        // Never so much that the producer could not go on: a frame and the padding before it take half of the ring at most.
        if (distance(consumer.releasedPosition, end) > capacityBytes / 4) consumer.release(end)
        number++
        if (number === count) setImmediate(finish)
      }
      const finish = () => {
        clearInterval(timer)
        consumer.release(consumer.readPosition)
        const seconds = (performance.now() - startedMs) / 1000
        const end = channel.stat().consumer
        channel.close()
        resolve({ received: number, framesPerSecond: Math.round(number / seconds), end })
      }
      channel.consume(consume, { release: 'by-caller', onError: reject })
    })
  },
}

function putAtOnce(producer, words, stream) {
  const offset = producer.tryClaim(stream.bytes, stream.type)
  if (offset < 0) return false
  stream.write(words, producer.bytes, offset)
  producer.commit()
  return true
}

// Whoever started this process is gone when its end of the pipe closes.
process.stdin.on('end', () => process.exit(0)).resume()
try {
  process.stdout.write(`${JSON.stringify(await tasks[setup.task]())}\n`, () => process.exit(0))
} catch (error) {
  process.stdout.write(`${JSON.stringify({ failed: error.message, code: error.code })}\n`, () => process.exit(1))
}
