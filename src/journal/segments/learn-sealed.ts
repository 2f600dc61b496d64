import { Damage } from '#journal/bytes.js'
import type { LogState } from '#journal/log-state.js'
import { COLUMN_APPEND_NUMBER, COLUMN_BLOCK_ORDINAL, COLUMN_ENTITY, COLUMN_TERM, COLUMN_VERSION, RowGroup } from '#journal/row-group.js'
import { type SegmentFile, segmentDamaged } from './segment-file.js'

export interface LearnOptions {
  /** Nothing was learnt before: there is no block that it must continue. */
  readonly isFirst: boolean
  /** Appends of original blocks that reach this position are kept among the recent ones. */
  readonly recentFrom: number
  /** Up to here heads and marks are known already. */
  readonly saved: number
}

/** Takes the rows of a sealed segment into heads, marks and recent appends, as LogState.learn does those of a block. Throws ERR_BLOCK_DAMAGED, ERR_SEGMENT_DAMAGED. */
export function learnSealed(state: LogState, file: SegmentFile, options: LearnOptions): void {
  const { header, footer } = file
  try {
    if (!options.isFirst) {
      if (header.firstPosition !== state.endPosition)
        throw new Damage(`it begins at ${header.firstPosition}, the one before ends at ${state.endPosition}`)
      if (Buffer.compare(header.previousHash, state.lastHash) !== 0) throw new Damage('it does not continue the block before it')
    }
    for (const { shard, first, names } of file.newEntities()) names.forEach((name, index) => state.learnEntity(shard, first + index, name))
  } catch (error) {
    throw segmentDamaged(error, file.name)
  }
  if (options.saved < header.endPosition || options.recentFrom < header.endPosition) learnRows(state, file, options)
  for (const mark of footer.marks) state.learnMark(mark)
  state.endPosition = header.endPosition
  state.lastHash = header.lastHash
}

/** Appends in the order of the log: those of one original block as they stand, which is clustered; blocks by ordinal. */
interface Recent {
  readonly ordinal: number
  readonly term: number
  readonly appendNumber: number
  readonly entity: number
  readonly version: number
}

function learnRows(state: LogState, file: SegmentFile, { recentFrom }: LearnOptions): void {
  const group = new RowGroup()
  const recent: Recent[] = []
  const firstOrdinal = ordinalAt(file, recentFrom)
  for (let id = 0; id < file.footer.blocks.length; id++) {
    const reader = file.block(id)
    for (const one of reader.header.groups) {
      reader.group(one, group)
      reader.guard(() => {
        let row = 0
        for (const { shard, rowCount } of one.shards) {
          learnRun(state, group, shard, row, row + rowCount, firstOrdinal, recent)
          row += rowCount
        }
      })
    }
  }
  recent.sort((a, b) => a.ordinal - b.ordinal)
  for (const { term, appendNumber, entity, version } of recent) state.recent.add(term, appendNumber, entity, version)
}

function learnRun(
  state: LogState,
  group: RowGroup,
  shard: number,
  start: number,
  end: number,
  firstOrdinal: number,
  recent: Recent[],
): void {
  const { entities } = state
  const numbers = group.narrow(COLUMN_ENTITY)
  const versions = group.narrow(COLUMN_VERSION)
  const terms = group.narrow(COLUMN_TERM)
  const appendNumbers = group.narrow(COLUMN_APPEND_NUMBER)
  const ordinals = group.narrow(COLUMN_BLOCK_ORDINAL)
  for (let row = start; row < end; row++) {
    const entity = entities.at(shard, numbers[row] as number)
    if (entity < 0) throw new Damage('it has rows of an entity that the log does not name')
    const version = versions[row] as number
    const term = terms[row] as number
    const appendNumber = appendNumbers[row] as number
    const ordinal = ordinals[row] as number
    // The first row of a group may go on with an append: then it is entered once more, under a version that no append begins with.
    const isFirstOfAppend =
      row === start || numbers[row - 1] !== numbers[row] || terms[row - 1] !== term || appendNumbers[row - 1] !== appendNumber
    if (ordinal >= firstOrdinal && isFirstOfAppend) recent.push({ ordinal, term, appendNumber, entity, version })
    const known = entities.nextVersion[entity] as number
    if (version <= known) continue
    if (version !== known + 1) throw new Damage(`${entities.name(entity)} goes from version ${known} to ${version}`)
    entities.set(entity, version, term, appendNumber)
  }
}

/** The original block that has the row at a position, or the first one behind all. */
function ordinalAt(file: SegmentFile, position: number): number {
  const { origins } = file.footer
  let end = file.header.firstPosition
  let ordinal = 0
  while (ordinal < origins.length && end + (origins[ordinal] as number) <= position) end += origins[ordinal++] as number
  return ordinal
}
