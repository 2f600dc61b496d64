/**
 * The side of bus-wake that answers: a process, or a thread for the message port. Started with an EchoSetup as JSON in its first argument; it
 * says that it is ready over whatever it was started by, and ends with that.
 */
import { createServer } from 'node:net'
import { join } from 'node:path'
import { isMainThread, parentPort } from 'node:worker_threads'
import type { IdleStrategy } from '#bus/index.js'
import { pinThread } from '#shm/index.js'
import { busLink, carriedLink, KIND, type Link, portCarrier, processCarrier, socketCarrier } from './echo-links.js'

export type Way = 'bus' | 'process.send' | 'process.send-advanced' | 'message-port' | 'unix-socket'

export interface EchoSetup {
  readonly way: Way
  /** Of its own, for what the two sides meet at. */
  readonly folder: string
  /** How ends of the bus wait. */
  readonly strategy: IdleStrategy
}

export function socketPath(folder: string): string {
  return join(folder, 'echo.socket')
}

/** Answers what the other side asks; throws, which ends it, when a flood arrives out of order. */
function answer(link: Link): void {
  let expected = 0
  const send = (kind: number, number: number, bytes: number) => {
    if (!link.trySend(kind, number, bytes)) throw new Error('no room for an answer')
    link.flush()
  }
  link.listen((kind, number, bytes) => {
    if (kind === KIND.echo) send(KIND.echoed, number, bytes)
    else if (kind === KIND.pin) {
      pinThread(number)
      send(KIND.pinned, number, bytes)
    } else if (kind === KIND.flood) {
      if (number !== expected) throw new Error(`message ${number} came where ${expected} was due`)
      expected++
    } else {
      send(KIND.counted, expected, bytes)
      expected = 0
    }
  })
}

function start({ way, folder, strategy }: EchoSetup): void {
  if (way === 'message-port') {
    if (parentPort === null) throw new Error('a thread was expected')
    const carrier = portCarrier(parentPort)
    answer(carriedLink(carrier))
    carrier.post('ready')
  } else if (way === 'unix-socket') {
    const server = createServer((socket) => answer(carriedLink(socketCarrier(socket))))
    server.listen(socketPath(folder), () => process.send?.('ready'))
  } else if (way === 'bus') {
    answer(busLink(folder, 'responder', strategy))
    process.send?.('ready')
  } else {
    answer(carriedLink(processCarrier(process, way === 'process.send')))
    process.send?.('ready')
  }
  if (isMainThread) process.on('disconnect', () => process.exit(0))
}

if (process.argv[1]?.endsWith('echo-responder.js') === true || !isMainThread) start(JSON.parse(process.argv[2] as string) as EchoSetup)
