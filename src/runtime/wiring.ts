import type { InboundLink } from '#actors/worker.js'
import { Consumer, type Peer, Producer } from '#bus/index.js'
import type { WorkerChannel } from '#ingest/bus-door.js'
import { JournalClient } from '#serving/journal-client.js'
import type { WorkerLink } from '#serving/journal-server.js'
import { answersName, appendsName, bulkName, commandsName, type PlantShape, rejectionsName } from './channel-plan.js'

/** Where a role finds the memory of a channel and the peers at its other end: mappings and FIFOs, or plain buffers in an inline plant. */
export interface BusAccess {
  memory(channel: string): ArrayBufferLike
  peer(role: 'journal' | 'worker' | 'gateway', slot: number): Peer
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
): { readonly inbound: readonly InboundLink[]; readonly journal: JournalClient } {
  const journalPeer = access.peer('journal', 0)
  const inbound = Array.from({ length: shape.gateways }, (_, gateway) => {
    const peer = access.peer('gateway', gateway)
    return {
      commands: new Consumer(access.memory(commandsName(gateway, slot)), { ...holder, peer }),
      answers: new Producer(access.memory(answersName(slot, gateway)), { ...holder, peer }),
    }
  })
  const journal = new JournalClient({
    appends: new Producer(access.memory(appendsName(slot)), { ...holder, peer: journalPeer }),
    answers: new Consumer(access.memory(rejectionsName(slot)), { ...holder, peer: journalPeer }),
    bulk: new Consumer(access.memory(bulkName(slot)), { ...holder, peer: journalPeer }),
  })
  return { inbound, journal }
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
