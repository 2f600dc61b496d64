import type { Role } from './plant.js'
import { DEVICE_KINDS, type Step } from './schedule.js'

/** For a person to read. */
export function describeStep(step: Step): string {
  switch (step.do) {
    case 'turn': {
      const during = (step.meanwhile ?? []).map(
        ({ at, step: other }) => `before its ${nth(at + 1)} look at shared memory: ${describeStep(other)}`,
      )
      return `${nameOf(step)} has a turn${during.length === 0 ? '' : ` (${during.join('; ')})`}`
    }
    case 'disk':
      return `the disk does ${step.count} steps of writing the ${step.environment}`
    case 'disk fails':
      return `the disk fails to write the ${step.environment}`
    case 'kill':
      return `${nameOf(step)} is killed`
    case 'start':
      return `${nameOf(step)} is started if there is none`
    case 'send':
      return `device ${step.device} (${DEVICE_KINDS[step.device]}) sends ${step.drafts.map(({ entity, command }) => `${command} to ${entity}`).join(', ')}`
    case 'pump':
      return `device ${step.device} (${DEVICE_KINDS[step.device]}) sends what it can`
    case 'ask again':
      return `device ${step.device} (${DEVICE_KINDS[step.device]}) sends an answered command again`
    case 'reconnect':
      return `device ${step.device} (${DEVICE_KINDS[step.device]}) loses its connection and connects to gateway ${step.gateway}`
    case 'read':
      return `${step.entity} is read at worker ${step.worker}`
    case 'interfere':
      return `a foreign writer appends to ${step.entity}`
    case 'room':
      return step.isThere ? 'the disk has room' : 'the disk has no room'
    case 'time':
      return `${step.ms} ms pass`
    case 'round':
      return `everybody has ${step.count === 1 ? 'a turn' : `${step.count} turns`}, and the disk finishes what it has`
    case 'replace all':
      return 'every process is killed, and the plant is started again'
    case 'move':
      return `a move goes on, or that of the shard of ${step.entity} to worker ${step.to} begins`
    case 'give the move up':
      return 'the move is given up'
    case 'lose power':
      return 'the power is lost, and the plant is started again'
  }
}

function nameOf({ role, slot }: { readonly role: Role; readonly slot: number }): string {
  return role === 'journal' ? 'the journal' : `${role} ${slot}`
}

function nth(number: number): string {
  return `${number}${number === 1 ? 'st' : number === 2 ? 'nd' : number === 3 ? 'rd' : 'th'}`
}
