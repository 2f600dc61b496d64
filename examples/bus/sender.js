// The writing end: sends ten numbers and waits until the other process has released them all.
import { openChannel } from 'millrace/bus'

const channel = openChannel({ directory: process.argv[2], name: 'numbers', role: 'producer' })
const frame = new Float64Array(1)
for (let number = 1; number <= 10; number++) {
  frame[0] = number
  await channel.send(new Uint8Array(frame.buffer))
}
await channel.whenReleased()
channel.close()
