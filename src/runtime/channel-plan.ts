import type { ChildRole, Seat } from '#processes/process-role.js'

/** Sizes of a plant as far as its channels go. */
export interface PlantShape {
  readonly workers: number
  readonly gateways: number
}

export interface ChannelSizes {
  /** Ring bytes of commands, appends and bulk channels; a power of two. The largest frame is a quarter of it. */
  readonly capacityBytes: number
  /** Ring bytes of answers and rejections; a power of two. */
  readonly answerCapacityBytes: number
}

const MESSAGE_CAPACITY_BYTES_MIN = 4096

/** The slot of the gateway that has effects done. */
export const EFFECTS_GATEWAY = 0

export interface PlannedChannel {
  readonly name: string
  readonly capacityBytes: number
}

export function commandsName(gateway: number, worker: number): string {
  return `commands-g${gateway}-w${worker}`
}

export function answersName(worker: number, gateway: number): string {
  return `answers-w${worker}-g${gateway}`
}

/** From the entities of one worker to those of another, or of the same. */
export function messagesName(from: number, to: number): string {
  return `messages-w${from}-w${to}`
}

/** The channel that an inbound link of a worker reads: first those from the gateways, then those from the workers. */
export function inboundName(link: number, worker: number, { gateways }: Pick<PlantShape, 'gateways'>): string {
  return link < gateways ? commandsName(link, worker) : messagesName(link - gateways, worker)
}

/** What came of them, back to the one that they came from. */
export function repliesName(to: number, from: number): string {
  return `replies-w${to}-w${from}`
}

/** From the entities of a worker to the gateway that has their effects done, which is the first one, and what came of them. */
export function effectsName(worker: number): string {
  return `effects-w${worker}-g${EFFECTS_GATEWAY}`
}

export function outcomesName(worker: number): string {
  return `outcomes-g${EFFECTS_GATEWAY}-w${worker}`
}

export function appendsName(worker: number): string {
  return `appends-w${worker}`
}

export function rejectionsName(worker: number): string {
  return `rejections-w${worker}`
}

export function bulkName(worker: number): string {
  return `bulk-w${worker}`
}

/** Every channel of a plant: they are made before its processes start and belong to seats, not to processes. */
export function planChannels(shape: PlantShape, sizes: ChannelSizes): readonly PlannedChannel[] {
  const channels: PlannedChannel[] = []
  // There is one pair for every two workers.
  const messageCapacityBytes = Math.max(MESSAGE_CAPACITY_BYTES_MIN, sizes.capacityBytes / 32)
  for (let worker = 0; worker < shape.workers; worker++) {
    for (let gateway = 0; gateway < shape.gateways; gateway++) {
      channels.push({ name: commandsName(gateway, worker), capacityBytes: sizes.capacityBytes })
      channels.push({ name: answersName(worker, gateway), capacityBytes: sizes.answerCapacityBytes })
    }
    for (let other = 0; other < shape.workers; other++) {
      channels.push({ name: messagesName(worker, other), capacityBytes: messageCapacityBytes })
      channels.push({ name: repliesName(other, worker), capacityBytes: messageCapacityBytes })
    }
    channels.push({ name: effectsName(worker), capacityBytes: messageCapacityBytes })
    channels.push({ name: outcomesName(worker), capacityBytes: messageCapacityBytes })
    channels.push({ name: appendsName(worker), capacityBytes: sizes.capacityBytes })
    channels.push({ name: rejectionsName(worker), capacityBytes: sizes.answerCapacityBytes })
    channels.push({ name: bulkName(worker), capacityBytes: sizes.capacityBytes })
  }
  return channels
}

/** The seats whose holders have the ends of a planned channel; undefined for any other name. */
export function seatsOf(channel: string): Readonly<Record<'producer' | 'consumer', Seat<ChildRole>>> | undefined {
  const [kind = '', from = '', to = ''] = channel.split('-')
  const ends = [from, to].map(seatOf)
  const journal: Seat<ChildRole> = { role: 'journal', slot: 0 }
  const [first, second = journal] = ends
  if (first === undefined) return undefined
  if (kind === 'rejections' || kind === 'bulk') return { producer: journal, consumer: first }
  return FORWARD.has(kind) ? { producer: first, consumer: second } : undefined
}

/** Kinds whose names say first who writes and then who reads, the journal where nobody is named. */
const FORWARD: ReadonlySet<string> = new Set(['commands', 'answers', 'appends', 'messages', 'replies', 'effects', 'outcomes'])

function seatOf(part: string): Seat<ChildRole> | undefined {
  const [, letter, slot] = /^([gw])(\d+)$/.exec(part) ?? []
  return letter === undefined ? undefined : { role: letter === 'g' ? 'gateway' : 'worker', slot: Number(slot) }
}
