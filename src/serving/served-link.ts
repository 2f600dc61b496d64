import { assert } from '#base/assert.js'
import type { Consumer, Producer } from '#bus/index.js'
import type { Journal } from '#journal/journal.js'
import { LoadJob } from './load-job.js'
import { type LoadRequest, PIECE_HEADER_BYTES, REJECTED_BYTES, REJECTED_FRAME, WANTED_FRAME } from './serving-frames.js'

/** The journal's end of the three channels of one worker slot. */
export interface WorkerLink {
  readonly slot: number
  readonly appends: Consumer
  readonly answers: Producer
  readonly bulk: Producer
}

/** What the journal server keeps for one worker slot: the ends of its channels, and the loads that it owes. */
export class ServedLink {
  readonly slot: number
  readonly appends: Consumer
  readonly answers: Producer
  readonly #bulk: Producer
  #jobs: LoadJob[] = []

  constructor(link: WorkerLink) {
    assert(link.answers.frameBytesMax >= REJECTED_BYTES, 'an answers channel can carry a rejection')
    assert(link.bulk.frameBytesMax > PIECE_HEADER_BYTES, 'a bulk channel can carry a piece')
    this.slot = link.slot
    this.appends = link.appends
    this.answers = link.answers
    this.#bulk = link.bulk
  }

  get isIdle(): boolean {
    return this.#jobs.length === 0 && !this.appends.hasFrames()
  }

  canReject(): boolean {
    return this.answers.hasRoom(REJECTED_BYTES)
  }

  /** Answers the append frame at `offset` with a rejection; false when there is no room. */
  tryReject(offset: number, headVersion: number, kind: number): boolean {
    const { view } = this.appends
    const answer = this.answers.tryClaim(REJECTED_BYTES, REJECTED_FRAME)
    if (answer < 0) return false
    this.answers.view.setUint32(answer, view.getUint32(offset, true), true)
    this.answers.view.setUint32(answer + 4, view.getUint32(offset + 4, true), true)
    this.answers.view.setUint32(answer + 8, headVersion, true)
    this.answers.view.setUint32(answer + 12, kind, true)
    this.answers.commit()
    return true
  }

  /** Asks the worker for a snapshot; false when there is no room. */
  tryWant(entity: Uint8Array): boolean {
    const offset = this.answers.tryClaim(entity.length, WANTED_FRAME)
    if (offset < 0) return false
    this.answers.bytes.set(entity, offset)
    this.answers.commit()
    this.answers.publish()
    return true
  }

  /** Everything read up to there is durable, or rejected and answered: releases it, and begins with the loads that stood before it. */
  resolved(journal: Journal, loads: readonly LoadRequest[], readEnd: number | undefined): void {
    for (const request of loads) this.#begin(journal, request)
    if (readEnd !== undefined) this.appends.release(readEnd)
  }

  canPump(): boolean {
    return this.#jobs[0]?.canPump(this.#bulk) === true
  }

  /** Goes on with the loads, one after the other; returns how many steps that was. */
  pump(wake: () => void): number {
    let steps = 0
    for (let job = this.#jobs[0]; job !== undefined; job = this.#jobs[0]) {
      steps += job.pump(this.#bulk, wake)
      if (!job.isDone) break
      this.#jobs.shift()
    }
    return steps
  }

  /** What a predecessor of the worker had asked for interests nobody any more. */
  #begin(journal: Journal, request: LoadRequest): void {
    this.#jobs = this.#jobs.filter((job) => {
      const isStale = job.request.term < request.term
      if (isStale) job.cancel()
      return !isStale
    })
    this.#jobs.push(new LoadJob(journal, request))
  }
}
