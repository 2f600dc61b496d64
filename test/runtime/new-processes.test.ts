import { describe, expect, test } from 'vitest'
import type { SupervisionEvent } from '#processes/supervision-event.js'
import { NewProcesses } from '#runtime/new-processes.js'

const SEAT = { role: 'worker', slot: 1 } as const

describe('a process with new code', () => {
  test('that ends is told of, with what it said over that', () => {
    const processes = new NewProcesses()
    processes.watch(SEAT)

    processes.take(said(7, 'it is broken'))
    processes.take(died(7, { kind: 'exit', code: 1 }))
    processes.take(died(8, { kind: 'exit', code: 2 }))

    expect(processes.failure).toMatchObject({ code: 'ERR_CODE_FAULT', message: 'it is broken' })
  })

  test('that says nothing is told of by how it ended', () => {
    const processes = new NewProcesses()
    processes.watch(SEAT)

    processes.take(died(7, { kind: 'signal', signal: 'SIGSEGV' }))

    expect(processes.failure).toMatchObject({ code: 'ERR_CODE_FAILED', values: { seat: 'worker/1', ended: 'SIGSEGV' } })
  })

  test.each<[string, (processes: NewProcesses) => void]>([
    ['one in a seat that has the old code', (processes) => processes.take(died(7, { kind: 'exit', code: 1 }))],
    [
      'one in a seat that went back',
      (processes) => {
        processes.watch(SEAT)
        processes.leave(SEAT)
        processes.take(died(7, { kind: 'exit', code: 1 }))
      },
    ],
    [
      'one that others killed once it had proved itself',
      (processes) => {
        processes.watch(SEAT)
        processes.proven(SEAT.slot)
        processes.take(died(7, { kind: 'signal', signal: 'SIGKILL' }))
      },
    ],
    [
      'a spare',
      (processes) => {
        processes.watch(SEAT)
        processes.take({ ...died(7, { kind: 'exit', code: 1 }), slot: null })
      },
    ],
  ])('is not %s', (_, happens) => {
    const processes = new NewProcesses()

    happens(processes)

    expect(processes.failure).toBeUndefined()
  })
})

function died(pid: number, cause: (SupervisionEvent & { kind: 'died' })['cause']): SupervisionEvent & { kind: 'died' } {
  return { at: 0, kind: 'died', ...SEAT, pid, term: 3, cause, fatalCommand: null }
}

function said(pid: number, message: string): SupervisionEvent {
  return { at: 0, kind: 'reported', ...SEAT, pid, name: 'failed', data: { code: 'ERR_CODE_FAULT', message, action: 'operator' } }
}
