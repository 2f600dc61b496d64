import { Damage } from '#journal/bytes.js'
import type { LogState } from '#journal/log-state.js'
import type { RecentAppends } from '#journal/recent-appends.js'
import { COLUMN_APPEND_NUMBER, COLUMN_BLOCK_ORDINAL, COLUMN_ENTITY, COLUMN_TERM, COLUMN_VERSION, RowGroup } from '#journal/row-group.js'
import { type SegmentFile, segmentDamaged } from './segment-file.js'

export interface LearnOptions {
  /** Nothing was learnt before: there is no block that it must continue. */
  readonly isFirst: boolean
  /** Up to here heads and marks are known already. */
  readonly saved: number
}

/** Takes the rows of a sealed segment into heads and marks, as LogState.learn does those of a block. Throws ERR_BLOCK_DAMAGED, ERR_SEGMENT_DAMAGED. */
export function learnSealed(state: LogState, file: SegmentFile, options: LearnOptions): void {
  const { header, footer } = file
  try {
    if (!options.isFirst) {
      if (header.firstPosition !== state.endPosition)
        throw new Damage(`it begins at ${header.firstPosition}, the one before ends at ${state.endPosition}`)
      if (Buffer.compare(header.previousHash, state.lastHash) !== 0) throw new Damage('it does not continue the block before it')
    }
    for (const { shard, first, names } of file.newEntities()) {
      names.forEach((name, index) => state.learnEntity(shard, first + index, name))
    }
  } catch (error) {
    throw segmentDamaged(error, file.name)
  }
  if (options.saved < header.endPosition) eachRun(file, (group, shard, start, end) => learnRun(state, group, shard, start, end))
  for (const mark of footer.marks) state.learnMark(mark)
  state.endPosition = header.endPosition
  state.lastHash = header.lastHash
}

/** Enters the appends that have rows from a position on into `recent`, in the order of the log. The entities must be known. */
export function learnRecent(state: LogState, file: SegmentFile, from: number, recent: RecentAppends): void {
  const firstOrdinal = ordinalAt(file, from)
  const found: Recent[] = []
  eachRun(file, (group, shard, start, end) => findRecent(state, group, shard, start, end, firstOrdinal, found))
  found.sort((a, b) => a.ordinal - b.ordinal)
  for (const { term, appendNumber, entity, version } of found) recent.add(term, appendNumber, entity, version)
}

/** Appends in the order of the log: those of one original block as they stand, which is clustered; blocks by ordinal. */
interface Recent {
  readonly ordinal: number
  readonly term: number
  readonly appendNumber: number
  readonly entity: number
  readonly version: number
}

function eachRun(file: SegmentFile, each: (group: RowGroup, shard: number, start: number, end: number) => void): void {
  const group = new RowGroup()
  for (let id = 0; id < file.footer.blocks.length; id++) {
    const reader = file.block(id)
    for (const one of reader.header.groups) {
      reader.group(one, group)
      reader.guard(() => {
        let row = 0
        for (const { shard, rowCount } of one.shards) {
          each(group, shard, row, row + rowCount)
          row += rowCount
        }
      })
    }
  }
}

function learnRun(state: LogState, group: RowGroup, shard: number, start: number, end: number): void {
  const { entities } = state
  const numbers = group.narrow(COLUMN_ENTITY)
  const versions = group.narrow(COLUMN_VERSION)
  const terms = group.narrow(COLUMN_TERM)
  const appendNumbers = group.narrow(COLUMN_APPEND_NUMBER)
  for (let row = start; row < end; row++) {
    const entity = entityAt(state, shard, numbers[row] as number)
    const version = versions[row] as number
    const known = entities.nextVersion(entity)
    if (version <= known) continue
    if (version !== known + 1) throw new Damage(`${entities.name(entity)} goes from version ${known} to ${version}`)
    entities.set(entity, version, terms[row] as number, appendNumbers[row] as number)
  }
}

function findRecent(
  state: LogState,
  group: RowGroup,
  shard: number,
  start: number,
  end: number,
  firstOrdinal: number,
  found: Recent[],
): void {
  const numbers = group.narrow(COLUMN_ENTITY)
  const versions = group.narrow(COLUMN_VERSION)
  const terms = group.narrow(COLUMN_TERM)
  const appendNumbers = group.narrow(COLUMN_APPEND_NUMBER)
  const ordinals = group.narrow(COLUMN_BLOCK_ORDINAL)
  for (let row = start; row < end; row++) {
    const ordinal = ordinals[row] as number
    if (ordinal < firstOrdinal) continue
    const term = terms[row] as number
    const appendNumber = appendNumbers[row] as number
    // The first row of a group may go on with an append: then it is entered once more, under a version that no append begins with.
    if (row > start && numbers[row - 1] === numbers[row] && terms[row - 1] === term && appendNumbers[row - 1] === appendNumber) continue
    found.push({ ordinal, term, appendNumber, entity: entityAt(state, shard, numbers[row] as number), version: versions[row] as number })
  }
}

function entityAt(state: LogState, shard: number, number: number): number {
  const entity = state.entities.at(shard, number)
  if (entity < 0) throw new Damage('it has rows of an entity that the log does not name')
  return entity
}

/** The original block that has the row at a position, or the first one behind all. */
function ordinalAt(file: SegmentFile, position: number): number {
  const { origins } = file.footer
  let end = file.header.firstPosition
  let ordinal = 0
  while (ordinal < origins.length && end + (origins[ordinal] as number) <= position) end += origins[ordinal++] as number
  return ordinal
}
