import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import type { RepairPlan } from '#journal/lmdb/index.js'
import { callControl } from '#processes/control-client.js'
import type { ControlMethod } from '#processes/control-socket.js'
import { takeDataDirectory } from '#processes/plant-lock.js'
import { startToolProcess } from '#processes/tool-process.js'
import { dataPaths } from './data-directory.js'
import { requireLog } from './journal-access.js'
import { programEntry } from './package-root.js'

export type { GoneRows, RepairPlan } from '#journal/lmdb/index.js'

/** Reading and writing a whole log anew takes its time. */
const REPAIR_WITHIN_MS = 3_600_000

/**
 * Looks what repair would do and, when `confirm` says so, does it, in a process of its own while the data directory is held: no plant runs meanwhile. The answer is
 * what was planned, and whether it was done. Throws ERR_PLANT_RUNNING, ERR_NO_JOURNAL, ERR_DISK_FULL and ERR_REPAIR_DISK: after these it may be called again.
 */
export async function repairDataDirectory(
  dataDirectory: string,
  confirm: (plan: RepairPlan) => Promise<boolean>,
): Promise<{ readonly plan: RepairPlan; readonly isDone: boolean }> {
  requireLog(dataDirectory)
  const lock = takeDataDirectory(dataDirectory)
  try {
    const { run } = dataPaths(dataDirectory)
    mkdirSync(run, { recursive: true, mode: 0o700 })
    const socket = join(run, `repair-${process.pid}.sock`)
    const worker = await startToolProcess({ entry: programEntry('journal', 'repair'), args: [dataDirectory, socket] })
    try {
      const repair = (isDryRun: boolean) => callControl(socket, 'repair', { isDryRun }, REPAIR_WITHIN_MS) as Promise<RepairPlan>
      const plan = await repair(true)
      const isDone = await confirm(plan)
      if (isDone) await repair(false)
      return { plan, isDone }
    } finally {
      await worker.close()
    }
  } finally {
    lock.close()
  }
}

/** What the process that repairs answers. */
export function repairMethods(dataDirectory: string): Readonly<Record<string, ControlMethod>> {
  return {
    async repair(args: unknown) {
      const { repairLog } = await import('#journal/lmdb/index.js')
      return repairLog(dataPaths(dataDirectory).journal, args as { isDryRun: boolean })
    },
  }
}
