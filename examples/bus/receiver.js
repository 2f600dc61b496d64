// The reading end: adds up ten numbers. Killed in the middle and started again, it gets the frame it had not released once more.
import { openChannel } from 'millrace/bus'

const channel = openChannel({ directory: process.argv[2], name: 'numbers', role: 'consumer' })
let [sum, count] = [0, 0]
channel.consume((offset) => {
  sum += channel.view.getFloat64(offset, true)
  if (++count === 10) {
    console.log(`ten numbers came over shared memory; their sum is ${sum}`)
    setImmediate(() => channel.close())
  }
})
