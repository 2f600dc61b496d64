/**
 * The other process of a two-process test: plain JavaScript over the compiled bus. Its first argument is
 * `{ task, directory, strategy, ... }` as JSON; it says `ready` on stdout when it has its ends.
 */
import { openChannel } from '#bus/index.js'
import { fillNumbered, numberedBytes } from '../numbered.mjs'

const setup = JSON.parse(process.argv[2])

const tasks = {
  /** Sends `count` numbered frames, publishing after every `batch`, waits until all are released and ends. */
  async send({ directory, name, capacityBytes, strategy, from = 0, count, batch }) {
    const channel = openChannel({ directory, name, role: 'producer', capacityBytes, strategy })
    say('ready')
    const { producer } = channel
    for (let number = from; number < from + count; number++) {
      const bytes = numberedBytes(number)
      let offset = producer.tryClaim(bytes, number % 1000)
      while (offset < 0) {
        await channel.whenRoom(bytes)
        offset = producer.tryClaim(bytes, number % 1000)
      }
      fillNumbered(producer.view, offset, bytes, number)
      producer.commit()
      if (number % batch === batch - 1) producer.publish()
    }
    producer.publish()
    await channel.whenReleased()
    channel.close()
    say('sent')
  },

  /** Sends every frame of `ping` back through `pong`. */
  async echo({ directory, strategy }) {
    const pong = openChannel({ directory, name: 'pong', role: 'producer', strategy })
    const ping = openChannel({ directory, name: 'ping', role: 'consumer', strategy })
    ping.consume((offset, length, type) => {
      if (!pong.trySend(ping.bytes.subarray(offset, offset + length), type)) throw new Error('no room for an echo')
    })
    say('ready')
  },
}

function say(word) {
  process.stdout.write(`${word}\n`)
}

// Whoever started this process is gone when its end of the pipe closes.
process.stdin.on('end', () => process.exit(0)).resume()
process.stdin.unref?.()
await tasks[setup.task](setup)
if (setup.task !== 'echo') process.exit(0)
