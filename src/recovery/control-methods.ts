import { MillraceError } from '#base/errors.js'
import type { ControlMethod } from '#processes/control-socket.js'
import { isRole, type Role, type Seat } from '#processes/process-role.js'
import type { PlantSupervisor } from './plant-supervisor.js'

const CALL_TIMEOUT_MS = 10_000

/**
 * What a supervisor answers on its control socket:
 *
 *   status {recoveries?}                        PlantStatus
 *   ready {}                                    PlantStatus, as soon as the plant is ready
 *   events {}                                   a stream of SupervisionEvent from now on, with {kind: 'missed', count} for a slow reader
 *   kill {role, slot?}                          {pid}; SIGKILL, for drills
 *   call {role, slot?, name, args?, timeoutMs?} whatever the seat's holder answers
 *   upgrade {plantFile, probationMs?, warmUpMs?, allowFaults?}   a stream of UpgradeStep; goes on when nobody reads it
 *   workers {count}                             a stream of CountStep; goes on when nobody reads it
 *   stop {force?}                               {ms} once the plant has stopped and the data directory is free
 */
export function controlMethods(supervisor: PlantSupervisor): Readonly<Record<string, ControlMethod>> {
  return {
    status: (args) => supervisor.status(optionalNumber(args, 'recoveries')),
    ready: async () => {
      await supervisor.whenReady()
      return supervisor.status()
    },
    events: (_, signal) => supervisor.events(signal),
    kill: (args) => ({ pid: supervisor.kill(seatIn(args)) }),
    call: (args) => {
      const { role, slot } = seatIn(args)
      if (role === 'supervisor') throw badArgs('a role that the supervisor started', 'role', role)
      const name = fieldOf(args, 'name')
      if (typeof name !== 'string') throw badArgs('the name of a call', 'name', name)
      return supervisor.call({ role, slot }, name, fieldOf(args, 'args') ?? {}, optionalNumber(args, 'timeoutMs') ?? CALL_TIMEOUT_MS)
    },
    upgrade: (args) => {
      if (supervisor.code === undefined) throw badArgs('a plant whose code can change', 'plant', 'this one')
      return supervisor.code.upgrade(args)
    },
    workers: (args) => {
      if (supervisor.workers === undefined) throw badArgs('a plant whose workers can change', 'plant', 'this one')
      return supervisor.workers.change(args)
    },
    stop: async (args) => {
      const startedMs = performance.now()
      await (fieldOf(args, 'force') === true ? supervisor.forceStop() : supervisor.stop())
      return { ms: performance.now() - startedMs }
    },
  }
}

function seatIn(args: unknown): Seat<Role> {
  const role = fieldOf(args, 'role')
  if (!isRole(role)) throw badArgs('supervisor, journal, worker or gateway', 'role', role)
  const slot = optionalNumber(args, 'slot') ?? 0
  if (!Number.isInteger(slot) || slot < 0) throw badArgs('a whole number from 0', 'slot', slot)
  return { role, slot }
}

function optionalNumber(args: unknown, name: string): number | undefined {
  const value = fieldOf(args, name)
  if (value !== undefined && typeof value !== 'number') throw badArgs('a number', name, value)
  return value
}

function fieldOf(args: unknown, name: string): unknown {
  return typeof args === 'object' && args !== null ? (args as Record<string, unknown>)[name] : undefined
}

function badArgs(wanted: string, name: string, value: unknown): MillraceError {
  return new MillraceError('ERR_CONTROL_ARGS', {
    fact: 'an argument of a control call is wrong',
    action: 'operator',
    values: { argument: name, value, wanted },
    next: 'correct it',
  })
}
