// A publisher that is wrong: it moves its checkpoint over rows as they come out of the log, before the broker has acknowledged them. Arguments as JSON: data, url, name, topic.
import { systemClock } from '../../../dist/src/base/clock.js'
import { Subscription } from '../../../dist/src/reading/subscription.js'
import { ControlFeed } from '../../../dist/src/runtime/control-feed.js'
import { startMqttTarget } from '../../../dist/src/targets/mqtt-target.js'

const { data, ...target } = JSON.parse(process.argv[2])

class HastySubscription extends Subscription {
  async next() {
    const batch = await super.next()
    if (batch !== undefined) this.settle(batch.next)
    return batch
  }
}

await startMqttTarget(target, {
  subscribe: (options) =>
    new HastySubscription(new ControlFeed({ dataDirectory: data, mayReadAlone: false }), { ...options, checkpointEveryRows: 1 }),
  clock: systemClock,
  log: () => {},
  plant: data,
})
setInterval(() => {}, 1000)
