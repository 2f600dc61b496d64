import { join } from 'node:path'
import { isMillraceError, MillraceError } from '#base/errors.js'
import type { EntityId } from '#base/ids.js'
import { ControlClient } from '#processes/control-client.js'
import { startToolProcess, type ToolProcess } from '#processes/tool-process.js'
import type { FoldFault } from './check-fold.js'
import { dataPaths } from './data-directory.js'
import type { FoldPlace } from './fold-conditions.js'
import type { BlockAnswer, CopyAnswer, FinishAnswer, FoldArgument, FoldBegin } from './fold-service.js'
import { programEntry } from './package-root.js'

const READY_WITHIN_MS = 30_000
/** For one block: a fold that takes longer stands still. */
const BLOCK_WITHIN_MS = 600_000
/** Bytes of a line's content before base64: a line of the socket has a limit. */
const PIECE_BYTES = 4 << 20

/** A block in pieces for the lines of sockets, made once for all processes that get it. */
export function piecesOf({ buffer, byteOffset, length }: Uint8Array): readonly string[] {
  const pieces: string[] = []
  for (let start = 0; start < length; start += PIECE_BYTES) {
    pieces.push(Buffer.from(buffer, byteOffset + start, Math.min(PIECE_BYTES, length - start)).toString('base64'))
  }
  return pieces
}

let startedCount = 0

/** The near end of a process that folds (apps/worker/fold.ts). */
export class FoldProcess {
  readonly #process: ToolProcess
  readonly #client: ControlClient

  private constructor(process: ToolProcess, client: ControlClient) {
    this.#process = process
    this.#client = client
  }

  /** The run directory must be there. Throws ERR_TOOL_PROCESS with what it printed when the plant cannot be loaded. */
  static async start(dataDirectory: string, plantFile: string, { world, env }: FoldPlace): Promise<FoldProcess> {
    const socket = join(dataPaths(dataDirectory).run, `fold-${process.pid}-${++startedCount}.sock`)
    const argument: FoldArgument = { socket, plantFile, world }
    const started = await startToolProcess({
      entry: programEntry('worker', 'fold'),
      args: [JSON.stringify(argument)],
      env,
      readyWithinMs: READY_WITHIN_MS,
    })
    try {
      return new FoldProcess(started, await ControlClient.open(socket))
    } catch (error) {
      await started.close()
      throw error
    }
  }

  async begin(begin: FoldBegin): Promise<void> {
    await this.#call('begin', begin)
  }

  async names(shard: number, first: number, names: readonly EntityId[]): Promise<void> {
    await this.#call('names', { shard, first, names })
  }

  /** Snapshots as exact-pack.ts has them. Answers those that cannot be read. */
  async keep(states: string): Promise<readonly FoldFault[]> {
    return (await this.#call('keep', states)) as FoldFault[]
  }

  async initial(type: string): Promise<Uint8Array | undefined> {
    return bytesOf((await this.#call('initial', type)) as string | null)
  }

  /** The next one may be sent before the answer is there. */
  async block(pieces: readonly string[], segment: string): Promise<BlockAnswer> {
    const sent = pieces.slice(0, -1).map((piece) => this.#call('piece', piece))
    const answer = this.#call('block', { piece: pieces.at(-1) ?? '', segment })
    await Promise.all([...sent, answer])
    return (await answer) as BlockAnswer
  }

  async finish(): Promise<FinishAnswer> {
    return (await this.#call('finish')) as FinishAnswer
  }

  /** Of the one entity of a thorough fold after a row of the latest block. Undefined where it is too large to be shown. */
  async stateAt(version: number): Promise<Uint8Array | undefined> {
    return bytesOf((await this.#unlessLarge('stateAt', version)) as string | null)
  }

  async copies(): Promise<readonly CopyAnswer[]> {
    return ((await this.#unlessLarge('copies')) ?? []) as CopyAnswer[]
  }

  async close(): Promise<void> {
    this.#client.close()
    await this.#process.close()
  }

  async #unlessLarge(name: string, args?: unknown): Promise<unknown> {
    return this.#call(name, args).catch((error: unknown) => {
      if (isMillraceError(error, 'ERR_LINE_TOO_LONG')) return null
      throw error
    })
  }

  async #call(name: string, args: unknown = {}): Promise<unknown> {
    try {
      return await this.#client.call(name, args, BLOCK_WITHIN_MS)
    } catch (error) {
      if (isMillraceError(error, 'ERR_CONTROL_TIMEOUT')) {
        this.#process.kill('SIGKILL')
        throw ended('a process that folds the log stands still', `after ${BLOCK_WITHIN_MS / 60_000} minutes in one block`, error)
      }
      if (!isMillraceError(error, 'ERR_CONTROL_LOST')) throw error
      throw ended('a process that folds the log ended', await this.#process.ended, error)
    }
  }
}

function ended(fact: string, how: number | string, cause: unknown): MillraceError {
  return new MillraceError('ERR_FOLD_ENDED', {
    fact,
    action: 'operator',
    values: { how },
    next: 'look for an apply that ends the process, never returns or fills the memory; --entity narrows it down',
    cause,
  })
}

function bytesOf(text: string | null): Uint8Array | undefined {
  return text === null ? undefined : Buffer.from(text, 'base64')
}
