/**
 * One end of the channel `mortal`, over the compiled bus, that kills itself with SIGKILL at the point that its first argument names:
 * `{ directory, dies }` as JSON. Frames carry their number, from 1, as one byte each.
 */
import { openChannel } from '#bus/index.js'
import { CONSUMER_PARKED_WORD } from '#bus/layout.js'
import { AWAKE } from '#bus/peer.js'

const { directory, dies } = JSON.parse(process.argv[2])
const die = () => process.kill(process.pid, 'SIGKILL')
const end = (role) => openChannel({ directory, name: 'mortal', role, capacityBytes: 256, strategy: 'park' })

const deaths = {
  'mid-claim': () => {
    const { producer } = producerOf(3)
    const offset = producer.tryClaim(32, 1)
    producer.bytes.fill(4, offset, offset + 16)
  },
  'between-commit-and-publish': () => {
    const { producer } = producerOf(3)
    commit(producer, 4)
    commit(producer, 5)
  },
  'between-publish-and-ring': () => {
    const { producer } = producerOf(0)
    // The step before a ring is to say that the sleeper is awake; it is all that happens.
    Atomics.store(new Int32Array(producer.bytes.buffer), CONSUMER_PARKED_WORD, AWAKE)
    for (let number = 1; number <= 4; number++) commit(producer, number)
    producer.publish()
  },
  'between-read-and-release': () => {
    const { consumer } = end('consumer')
    for (let frame = 1; frame <= 3; frame++) consumer.next()
  },
  'behind-a-release': () => {
    const { consumer } = end('consumer')
    consumer.next()
    consumer.next()
    consumer.release(consumer.endPosition)
    consumer.next()
  },
  'in-its-handler': () => {
    const channel = end('consumer')
    channel.consume((offset) => {
      if (channel.bytes[offset] === 3) die()
    })
    return true
  },
  'at-both-ends': () => {
    producerOf(5)
    const { consumer } = end('consumer')
    consumer.next()
    consumer.release(consumer.endPosition)
    consumer.next()
  },
}

function producerOf(frames) {
  const channel = end('producer')
  for (let number = 1; number <= frames; number++) if (!channel.trySend(Uint8Array.of(number))) throw new Error('no room')
  return channel
}

function commit(producer, number) {
  producer.bytes[producer.tryClaim(1, 0)] = number
  producer.commit()
}

if (deaths[dies]() !== true) die()
