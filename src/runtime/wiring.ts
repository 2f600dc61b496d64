import type { MessagesOptions } from '#actors/messenger-options.js'
import type { InboundLink } from '#actors/worker.js'
import { Consumer, type Peer, Producer } from '#bus/index.js'
import type { EffectChannelEnds } from '#effects/effect-link.js'
import type { WorkerChannel } from '#ingest/bus-door.js'
import { JournalClient } from '#serving/journal-client.js'
import type { WorkerLink } from '#serving/journal-server.js'
import type { Placement } from '#shards/placement.js'
import {
  answersName,
  appendsName,
  bulkName,
  commandsName,
  EFFECTS_GATEWAY,
  effectsName,
  messagesName,
  outcomesName,
  type PlantShape,
  rejectionsName,
  repliesName,
} from './channel-plan.js'

/** Where a role finds the memory of a channel and the peers at its other end: mappings and FIFOs, or plain buffers in an inline plant. */
export interface BusAccess {
  memory(channel: string): ArrayBufferLike
  peer(role: 'journal' | 'worker' | 'gateway', slot: number): Peer
  /** Which worker has which shard. */
  readonly placement: Placement
}

/** Who takes a seat: stands in the channels that it opens. */
export interface SeatHolder {
  readonly pid: number
  readonly startTime: number
  readonly term: number
  readonly schemaHash: number
}

/** The ends that the worker in `slot` holds. */
export function wireWorker(
  access: BusAccess,
  slot: number,
  shape: PlantShape,
  holder: SeatHolder,
): { readonly inbound: readonly InboundLink[]; readonly messages: MessagesOptions; readonly journal: JournalClient } {
  const journalPeer = access.peer('journal', 0)
  const devices = Array.from({ length: shape.gateways }, (_, gateway) => {
    const peer = access.peer('gateway', gateway)
    return {
      commands: new Consumer(access.memory(commandsName(gateway, slot)), { ...holder, peer }),
      answers: new Producer(access.memory(answersName(slot, gateway)), { ...holder, peer }),
    }
  })
  const workers = Array.from({ length: shape.workers }, (_, other) => ({ other, end: { ...holder, peer: access.peer('worker', other) } }))
  const inbound = workers.map(({ other, end }) => ({
    commands: new Consumer(access.memory(messagesName(other, slot)), end),
    answers: new Producer(access.memory(repliesName(slot, other)), end),
  }))
  const links = workers.map(({ other, end }) => ({
    commands: new Producer(access.memory(messagesName(slot, other)), end),
    answers: new Consumer(access.memory(repliesName(other, slot)), end),
  }))
  const effectsEnd = { ...holder, peer: access.peer('gateway', EFFECTS_GATEWAY) }
  const effects = {
    effects: new Producer(access.memory(effectsName(slot)), effectsEnd),
    outcomes: new Consumer(access.memory(outcomesName(slot)), effectsEnd),
  }
  const messages: MessagesOptions = { links, effects, own: slot, placement: access.placement, deviceLinks: shape.gateways }
  const journal = new JournalClient({
    appends: new Producer(access.memory(appendsName(slot)), { ...holder, peer: journalPeer }),
    answers: new Consumer(access.memory(rejectionsName(slot)), { ...holder, peer: journalPeer }),
    bulk: new Consumer(access.memory(bulkName(slot)), { ...holder, peer: journalPeer }),
  })
  return { inbound: [...devices, ...inbound], messages, journal }
}

/** The journal's ends to every worker slot. */
export function wireJournal(access: BusAccess, shape: PlantShape, holder: SeatHolder): readonly WorkerLink[] {
  return Array.from({ length: shape.workers }, (_, slot) => {
    const peer = access.peer('worker', slot)
    return {
      slot,
      appends: new Consumer(access.memory(appendsName(slot)), { ...holder, peer }),
      answers: new Producer(access.memory(rejectionsName(slot)), { ...holder, peer }),
      bulk: new Producer(access.memory(bulkName(slot)), { ...holder, peer }),
    }
  })
}

/** The ends that the gateway that has effects done holds besides, by worker slot. */
export function wireEffects(access: BusAccess, shape: PlantShape, holder: SeatHolder): readonly EffectChannelEnds[] {
  return Array.from({ length: shape.workers }, (_, worker) => {
    const peer = access.peer('worker', worker)
    return {
      effects: new Consumer(access.memory(effectsName(worker)), { ...holder, peer }),
      outcomes: new Producer(access.memory(outcomesName(worker)), { ...holder, peer }),
    }
  })
}

/** The ends that the gateway in `slot` holds, by worker slot. */
export function wireGateway(access: BusAccess, slot: number, shape: PlantShape, holder: SeatHolder): readonly WorkerChannel[] {
  return Array.from({ length: shape.workers }, (_, worker) => {
    const peer = access.peer('worker', worker)
    return {
      commands: new Producer(access.memory(commandsName(slot, worker)), { ...holder, peer }),
      answers: new Consumer(access.memory(answersName(worker, slot)), { ...holder, peer }),
    }
  })
}
