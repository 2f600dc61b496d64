import { isoMicros } from '#base/micros.js'
import { type KinNode, KinTree } from '#reading/kin-tree.js'
import { JournalAccess } from '#runtime/journal-access.js'
import { snapshotTexts } from '#runtime/snapshot-service.js'
import { unpackExact } from '#runtime/exact-pack.js'
import type { KeptState } from '#runtime/snapshot-service.js'
import type { Output } from './output.js'

/** Of what went wrong, on the line of the entity. */
const MESSAGE_CHARACTERS_MAX = 80

/** Shows which entities have spawned which, and how they are, from the log: of a running plant or of one that is stopped. */
export async function showTree(dataDirectory: string, output: Output): Promise<void> {
  const access = await JournalAccess.open(dataDirectory)
  try {
    const tree = await readTree(access)
    const roots = tree.roots()
    if (output.isJson) {
      output.json({ tree: roots })
      return
    }
    if (roots.length === 0) output.line('No entity has spawned or watches another.')
    for (const line of treeLines(roots, (...toned) => output.tone(...toned))) if (!output.line(line)) await output.drained()
  } finally {
    await access.close()
  }
}

/** Rows that retention has dropped are in base snapshots, which are read where there are any. */
async function readTree(access: JournalAccess): Promise<KinTree> {
  const tree = new KinTree()
  if ((await access.firstPosition()) > 0) {
    const { shardCount } = await access.summary()
    const shards = Array.from({ length: shardCount }, (_, shard) => shard)
    for await (const text of snapshotTexts(access.socket, { shards }))
      for (const { isBase, entity, version, bytes } of unpackExact<readonly KeptState[]>(text))
        if (isBase) tree.takeBase(entity, version, bytes)
  }
  const types = await access.eventTypes()
  if (types.some(({ event }) => event === '#lifecycle')) for await (const row of access.query({ event: '#lifecycle' })) tree.take(row)
  return tree
}

/** One line for each entity, children below their parents. */
export function* treeLines(roots: readonly KinNode[], tone: Output['tone']): Generator<string> {
  for (const root of roots) yield* nodeLines(root, '', '', tone)
}

function* nodeLines(node: KinNode, first: string, others: string, tone: Output['tone']): Generator<string> {
  const { entity, phase, children } = node
  const color = phase === 'running' ? 'green' : phase === 'stopped' || phase === 'failed' ? 'red' : 'yellow'
  yield `${first}${entity}  ${tone(color, phase)}${remarks(node)}`
  for (const [index, child] of children.entries()) {
    const isLast = index === children.length - 1
    yield* nodeLines(child, `${others}${isLast ? '└─ ' : '├─ '}`, `${others}${isLast ? '   ' : '│  '}`, tone)
  }
}

function remarks({ restarts, error, watches }: KinNode): string {
  const said: string[] = []
  if (restarts > 0) said.push(`restarted ${restarts === 1 ? 'once' : `${restarts} times`}`)
  if (error !== null) {
    const { code, message, at } = error
    const text = message.replaceAll(/\s+/g, ' ')
    said.push(`${code} at ${isoMicros(at)}: ${text.length > MESSAGE_CHARACTERS_MAX ? `${text.slice(0, MESSAGE_CHARACTERS_MAX)}…` : text}`)
  }
  if (watches.length > 0) said.push(`watches ${watches.join(', ')}`)
  return said.length === 0 ? '' : `, ${said.join(', ')}`
}
