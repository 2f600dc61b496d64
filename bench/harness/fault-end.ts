/**
 * One process of bus-faults: a warm spare that sleeps in a read of its standard input until it is given an end of a channel, and works there until
 * it is killed, from outside or by its own step hook.
 */
import { readSync, realpathSync } from 'node:fs'
import { setImmediate as turn, setTimeout as delay } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { isMillraceError } from '#base/errors.js'
import { Prng } from '#base/prng.js'
import { Consumer } from '#bus/consumer.js'
import { createChannel } from '#bus/header.js'
import { channelBytes } from '#bus/layout.js'
import { openChannel } from '#bus/open-channel.js'
import { NO_PEER } from '#bus/peer.js'
import { Producer } from '#bus/producer.js'
import type { ConsumerChannel } from '#bus/consumer-channel.js'
import type { ProducerChannel } from '#bus/producer-channel.js'
import { Mapping } from '#shm/mapping.js'
import { FaultFrames } from './fault-frames.js'
import { FAILED_DAMAGED, FAILED_OTHERWISE, frameId, LedgerWriter, NUMBER_MAX } from './fault-ledger.js'
import type { Fate, FaultOrder, FaultSabotage } from './fault-order.js'
import type { Steps } from './step-build.js'

/** The name of this program, for a step build. */
export const FAULT_END = 'fault-end'

const SABOTAGED_NUMBER = 10
/** Of a quarter of the ring: what no payload can have. */
const FRAME_OVERHEAD_BYTES = 16
const WARM_UP_FRAMES = 300
const LOOK_FOR_PARENT_MS = 1000

function start(order: FaultOrder): void {
  const ledger = new LedgerWriter(Mapping.open(order.ledger).buffer, order.role, order.incarnation)
  const fail = (error: unknown): never => {
    ledger.failed(isMillraceError(error, 'ERR_CHANNEL_CORRUPT') ? FAILED_DAMAGED : FAILED_OTHERWISE)
    process.stderr.write(`${order.role} ${order.incarnation}: ${String((error as Error).stack)}\n`)
    process.exit(1)
  }
  process.on('uncaughtException', fail)
  if (order.fate !== null) armed(order.fate, ledger)
  const { directory, name, capacityBytes, strategy, role, checksums } = order
  const channel = openChannel({ directory, name, capacityBytes, strategy, role, checksums })
  ledger.attached(nowMs())
  const prng = new Prng(`${order.seed}-${role}-${order.incarnation}`)
  if (order.isClosing) {
    setTimeout(() => {
      channel.close()
      process.kill(process.pid, 'SIGKILL')
    }, prng.below(5))
  }
  if (role === 'producer') produce(channel as ProducerChannel, order, ledger, prng).catch(fail)
  else consume(channel as ConsumerChannel, order, ledger, prng, fail)
}

function armed(fate: Fate, ledger: LedgerWriter): void {
  const { millraceSteps } = globalThis as { millraceSteps?: Steps }
  if (millraceSteps === undefined) throw new Error('this is no step build')
  let left = 'steps' in fate ? fate.steps : fate.hit
  const isMine = 'steps' in fate ? () => true : (site: number) => site === fate.site
  millraceSteps.hook = (site) => {
    if (!isMine(site) || --left > 0) return
    ledger.diesAt(site)
    process.kill(process.pid, 'SIGKILL')
  }
}

/** Publishes frames in batches, with pauses in which the consumer comes to park, until told to stop. */
async function produce(channel: ProducerChannel, order: FaultOrder, ledger: LedgerWriter, prng: Prng): Promise<void> {
  const { producer } = channel
  const frames = framesOf(order)
  let number = 0
  const publish = () => {
    ledger.intendPublish(number)
    producer.publish()
    ledger.published(number)
    ledger.wentOn(nowMs)
  }
  const put = async (id: number, sabotage: FaultSabotage | null) => {
    const length = frames.lengthOf(id)
    // Not every claim becomes a frame, and not every frame is as long as its claim.
    const claimed = prng.below(4) === 0 ? Math.min(producer.frameBytesMax, length + prng.below(64)) : length
    let offset = producer.tryClaim(claimed, frames.typeOf(id))
    while (offset < 0) {
      publish()
      await channel.whenRoom(claimed)
      offset = producer.tryClaim(claimed, frames.typeOf(id))
    }
    frames.write(producer.bytes, offset, id)
    if (sabotage === 'tear') producer.bytes[offset + length - 1] = ~(producer.bytes[offset + length - 1] as number)
    if (sabotage === 'lose') producer.abort()
    else producer.commit(length)
  }
  const send = async (id: number) => {
    const payload = new Uint8Array(frames.lengthOf(id))
    frames.write(payload, 0, id)
    ledger.intendPublish(++number)
    while (!channel.trySend(payload, frames.typeOf(id))) await channel.whenRoom(payload.length)
    ledger.published(number)
    ledger.wentOn(nowMs)
  }
  while (!ledger.isStopping && number < NUMBER_MAX) {
    if (number >= SABOTAGED_NUMBER && prng.below(8) === 0) {
      await send(frameId(order.incarnation, number + 1))
      continue
    }
    for (let left = 1 + prng.below(prng.pick([1, 4, 32])); left > 0 && number < NUMBER_MAX; left--) {
      const sabotage = number + 1 === SABOTAGED_NUMBER ? order.sabotage : null
      const id = frameId(order.incarnation, number + 1)
      await put(id, sabotage)
      number++
      if (sabotage === 'duplicate') await put(id, null)
      if (prng.below(16) === 0 && producer.tryClaim(prng.below(32), 0) >= 0) producer.abort()
    }
    publish()
    if (order.sabotage !== null && number >= SABOTAGED_NUMBER) ledger.sabotaged()
    const pause = prng.below(256)
    if (pause === 0) await delay(1)
    else if (pause < 64) await turn()
  }
  if (ledger.isStopping) ledger.stopped()
}

/** Takes frames as they come and gives them back in lumps, late, so that a successor has something to meet again. */
function consume(channel: ConsumerChannel, order: FaultOrder, ledger: LedgerWriter, prng: Prng, fail: (error: unknown) => void): void {
  const { consumer } = channel
  const frames = framesOf(order)
  const held: { readonly id: number; readonly position: number }[] = []
  let isReleasing = false
  const release = (count: number) => {
    const last = held.splice(0, count).at(-1)
    if (last === undefined) return
    ledger.intendRelease(last.id)
    consumer.release(last.position)
    ledger.released(last.id)
  }
  const releaseAll = () => {
    isReleasing = false
    release(held.length)
  }
  channel.consume(
    (offset, length, type) => {
      const claimed = frames.idOf(consumer.bytes, offset)
      const isWhole = frames.isWhole(consumer.bytes, offset, length, type, claimed)
      const id = isWhole || ledger.last === 0 ? claimed : ledger.last + 1
      if (!isWhole) ledger.torn(id)
      ledger.received(id)
      ledger.wentOn(nowMs)
      held.push({ id, position: consumer.endPosition })
      if (prng.below(4) === 0) release(1 + prng.below(held.length))
      if (isReleasing) return
      isReleasing = true
      setImmediate(releaseAll)
    },
    { release: 'by-caller', onError: fail },
  )
}

function framesOf({ seed, capacityBytes }: FaultOrder): FaultFrames {
  return new FaultFrames(seed, capacityBytes / 4 - FRAME_OVERHEAD_BYTES)
}

/** On the machine's clock: the parent and the other end read the same. */
function nowMs(): number {
  const [seconds, nanoseconds] = process.hrtime()
  return seconds * 1000 + nanoseconds / 1e6
}

function readLine(): string {
  const chunk = Buffer.alloc(4096)
  let text = ''
  while (!text.includes('\n')) {
    const count = readSync(0, chunk)
    if (count === 0) process.exit(0)
    text += chunk.toString('utf8', 0, count)
  }
  return text
}

/** So that a successor does not begin with code that never ran: a real spare would not either. */
function warmUp(): void {
  const capacityBytes = 4096
  const buffer = new ArrayBuffer(channelBytes(capacityBytes))
  createChannel(buffer, { capacityBytes, schemaHash: 0, name: 'warm-up' })
  const end = { pid: 1, startTime: 1, term: 1, schemaHash: 0, peer: NO_PEER }
  const producer = new Producer(buffer, end)
  const consumer = new Consumer(buffer, end)
  const frames = new FaultFrames(1, producer.frameBytesMax)
  for (let id = 1; id <= WARM_UP_FRAMES; id++) {
    frames.write(producer.bytes, producer.tryClaim(frames.lengthOf(id), frames.typeOf(id)), id)
    producer.commit(frames.lengthOf(id))
    producer.publish()
    const offset = consumer.next()
    if (!frames.isWhole(consumer.bytes, offset, consumer.length, consumer.type, id)) throw new Error('a frame of the warm-up is not whole')
    consumer.release(consumer.endPosition)
  }
}

/** Only as the program that was started: whoever imports this wants to know what to start. */
if (process.argv[1] !== undefined && realpathSync(process.argv[1]) === fileURLToPath(import.meta.url)) {
  const parent = process.ppid
  warmUp()
  const order = JSON.parse(readLine()) as FaultOrder
  setInterval(() => process.ppid === parent || process.exit(0), LOOK_FOR_PARENT_MS).unref()
  start(order)
}
