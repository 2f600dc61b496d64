import { type Consumer, distance, type Producer } from '#bus/index.js'
import { WaitingQueue } from './waiting-queue.js'

/** The gateway's end of the two channels of one worker slot. */
export interface WorkerChannel {
  readonly commands: Producer
  readonly answers: Consumer
}

/** Shortly before they wrap, so that every door does that early in its life and none for the first time after weeks. */
const FIRST_REQUEST = 0xffff_fff0

/** What a door keeps for one worker slot. */
export class DoorChannel {
  readonly commands: Producer
  readonly answers: Consumer
  readonly waiting = new WaitingQueue(FIRST_REQUEST)
  /** What the frame takes for which there was no room; 0: none was refused since. */
  blockedBytes = 0
  /** The command whose acknowledgement is timed: when it was taken, 0 for none, and the end of its frame. */
  sampledSinceMs = 0
  sampledEnd = 0

  constructor(channel: WorkerChannel) {
    this.commands = channel.commands
    this.answers = channel.answers
  }

  sample(endPosition: number, nowMs: number): void {
    this.sampledSinceMs = nowMs
    this.sampledEnd = endPosition
  }

  /** 1 when there is room now for what was refused. */
  unblock(): number {
    if (this.blockedBytes === 0 || !this.commands.hasRoom(this.blockedBytes)) return 0
    this.blockedBytes = 0
    return 1
  }

  hasWork(): boolean {
    if (this.answers.hasFrames() || this.commands.position !== this.commands.publishedPosition) return true
    if (this.blockedBytes > 0 && this.commands.hasRoom(this.blockedBytes)) return true
    return this.waiting.count > 0 && distance(this.waiting.firstEndPosition, this.commands.releasedPosition()) >= 0
  }
}
