/**
 * A process that captures a channel, to be stopped and killed: plain JavaScript over the compiled bus. Its first argument is
 * `{ directory, name, path, leaseMs }` as JSON; it says `ready` on stdout once the file has its header, and its summary as JSON when it is told
 * to end by the end of its stdin.
 */
import { existsSync } from 'node:fs'
import { capture, openedChannel } from '#bus/index.js'

const { directory, name, path, leaseMs } = JSON.parse(process.argv[2])
const end = new AbortController()
process.stdin.on('end', () => end.abort()).resume()
const look = setInterval(() => {
  if (!existsSync(path)) return
  clearInterval(look)
  process.stdout.write('ready\n')
}, 1)
const summary = await capture({
  ...openedChannel(directory, name),
  path,
  leaseMs,
  signal: end.signal,
})
process.stdout.write(`${JSON.stringify(summary)}\n`)
