import { type BlocksItem, type ExportQuery, streamBlocks } from '#export/block-stream.js'
import type { Journal } from '#journal/index.js'
import type { ControlMethod } from '#processes/control-socket.js'
import { streamControl } from '#processes/control-client.js'
import { packExact, unpackExact } from './exact-pack.js'

/** Bytes of a line's content before base64: a line of the socket has a limit. */
const PIECE_BYTES = 4 << 20

/** What stands on the lines: a block in pieces, everything else as exact-pack.ts has it. */
type BlocksLine = { readonly item: string } | { readonly piece: string }

/** What the journal answers to those who decode blocks by themselves: reading is all that it does for them. */
export function blockMethods(journal: Journal): Readonly<Record<string, ControlMethod>> {
  return {
    async *blocks(args: unknown, signal: AbortSignal): AsyncGenerator<BlocksLine> {
      for await (const item of streamBlocks(journal, args as ExportQuery, signal)) {
        if (item.kind !== 'block') {
          yield { item: packExact(item) }
          continue
        }
        for (let start = 0; start < item.bytes.length; start += PIECE_BYTES) {
          const { buffer, byteOffset, length } = item.bytes
          yield { piece: Buffer.from(buffer, byteOffset + start, Math.min(PIECE_BYTES, length - start)).toString('base64') }
        }
        // Zone maps have done their service, and are as large as the block.
        const { types: _, ...entry } = item.entry
        yield { item: packExact({ ...item, entry, bytes: undefined }) }
      }
    },
  }
}

/** The same stream at the other end of the socket. */
export async function* readBlocks(socket: string, query: ExportQuery): AsyncGenerator<BlocksItem> {
  let pieces: Buffer[] = []
  for await (const line of streamControl(socket, 'blocks', query)) {
    const { item, piece } = line as { readonly item?: string; readonly piece?: string }
    if (piece !== undefined) pieces.push(Buffer.from(piece, 'base64'))
    else {
      const whole = unpackExact<BlocksItem>(item as string)
      yield whole.kind === 'block' ? { ...whole, bytes: pieces.length === 1 ? (pieces[0] as Buffer) : Buffer.concat(pieces) } : whole
      if (whole.kind === 'block') pieces = []
    }
  }
}
