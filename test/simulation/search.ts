import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads'
import { availableParallelism } from 'node:os'
import type * as Runner from './run-schedule.js'
import { type Schedule, scheduleOf } from './schedule.js'

export interface Search {
  readonly times: number
  /** Of the first schedule. */
  readonly seed: number
  /** The rule that is left out. */
  readonly without: string | undefined
}

/** The first schedule that goes wrong: its place among all, from 0, and what is wrong. */
export interface Hit {
  readonly index: number
  readonly wrong: string
}

/** What a thread runs: every `stride`-th schedule from `first` on, as long as none before it is known to go wrong. */
interface Share extends Search {
  readonly first: number
  readonly stride: number
  /** The lowest place found so far. */
  readonly lowest: Int32Array
}

/** Of so many schedules one is run twice: time and chance come in through parameters alone, and nothing is left over from the one before. */
const SCHEDULES_PER_REPEAT = 25

export const NOT_THE_SAME = 'the same schedule comes to something else the second time'

/** With fewer schedules than that a second thread costs more than it brings. */
const TIMES_PER_THREAD_MIN = 1000

/** The code that runs schedules of a plant, with or without all of its rules. */
export async function runnerOf(without: string | undefined): Promise<typeof Runner> {
  return (await import(`./run-schedule.js${without === undefined ? '' : `?without=${without}`}`)) as typeof Runner
}

/** What goes wrong in a schedule, if anything does; with `isTwice` also that it does not come to the same when it is run again. */
export async function problemOf({ runSchedule }: typeof Runner, schedule: Schedule, isTwice: boolean): Promise<string | undefined> {
  const { wrong, trace } = await runSchedule(schedule)
  if (wrong !== undefined || !isTwice) return wrong
  return (await runSchedule(schedule)).trace === trace ? undefined : NOT_THE_SAME
}

/** Looks for the first schedule that goes wrong, in as many threads as there are processors. The answer does not depend on how many that are. */
export async function search(wanted: Search): Promise<Hit | undefined> {
  const stride = Math.max(1, Math.min(availableParallelism(), Math.floor(wanted.times / TIMES_PER_THREAD_MIN)))
  const lowest = new Int32Array(new SharedArrayBuffer(4)).fill(wanted.times)
  const shares = Array.from({ length: stride }, (_, first): Share => ({ ...wanted, first, stride, lowest }))
  const hits = await Promise.all(stride === 1 ? shares.map(runShare) : shares.map(inThread))
  return hits.filter((hit) => hit !== undefined).sort((a, b) => a.index - b.index)[0]
}

/** For the main module of a thread. */
export async function answerSearch(): Promise<void> {
  // oxlint-disable-next-line unicorn/require-post-message-target-origin -- windows have an origin, threads have none
  if (!isMainThread) parentPort?.postMessage(await runShare(workerData as Share))
}

function inThread(share: Share): Promise<Hit | undefined> {
  return new Promise((resolve, reject) => {
    const thread = new Worker(new URL('./main.js', import.meta.url), { workerData: share })
    thread.once('message', resolve)
    thread.once('error', reject)
  })
}

async function runShare({ times, seed, without, first, stride, lowest }: Share): Promise<Hit | undefined> {
  const runner = await runnerOf(without)
  for (let index = first; index < times && index < Atomics.load(lowest, 0); index += stride) {
    const wrong = await problemOf(runner, scheduleOf(seed + index), index % SCHEDULES_PER_REPEAT === 0)
    if (wrong === undefined) continue
    for (let before = Atomics.load(lowest, 0); index < before; before = Atomics.load(lowest, 0)) {
      if (Atomics.compareExchange(lowest, 0, before, index) === before) break
    }
    return { index, wrong }
  }
  return undefined
}
