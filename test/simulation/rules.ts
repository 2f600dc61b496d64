/** One change of the sources: `find` stands in `file` exactly once, and in what the compiler makes of it too, so it is an expression without types. */
export interface Patch {
  /** From the root of the repository. */
  readonly file: string
  readonly find: string
  readonly replace: string
}

/** A rule of the protocol, or a part of one, that can be left out. */
export interface Rule {
  /** The rule's number, and a letter where it has several parts. */
  readonly id: string
  /** What holds with the rule. */
  readonly says: string
  readonly patches: readonly Patch[]
  /** Of a schedule in which its absence shows. */
  readonly seed: number
}

const CONSUMER = 'src/bus/consumer.ts'
const WORKER = 'src/actors/worker.ts'
const EXECUTOR = 'src/actors/executor.ts'
const INBOUND = 'src/actors/inbound.ts'
const SERVER = 'src/serving/journal-server.ts'
const APPEND_PATH = 'src/journal/append-path.ts'
const ENTITIES = 'src/journal/entity-table.ts'
const DOOR = 'src/ingest/bus-door.ts'
const INTAKE = 'src/actors/intake.ts'
const MESSENGER = 'src/actors/messenger.ts'
const MOVES = 'src/actors/shard-moves.ts'

/** The rules of the path from a door to the disk without which something is lost, doubled or stuck; from 22 on those of shards that move. */
export const RULES: readonly Rule[] = [
  {
    id: '1',
    says: 'a successor reads on from the released position',
    seed: 1,
    patches: [
      {
        file: CONSUMER,
        find: 'this.endPosition = this.#released',
        replace: 'this.endPosition = Atomics.load(this.words, PUBLISHED_WORD)',
      },
      { file: CONSUMER, find: 'this.#tail = this.#released', replace: 'this.#tail = this.endPosition' },
    ],
  },
  {
    id: '2',
    says: 'a journal that opens a log syncs it before it counts, serves or releases what it finds there',
    seed: 79,
    patches: [{ file: 'src/journal/lmdb/environment.ts', find: 'syncFile(file)', replace: 'void 0' }],
  },
  {
    id: '2b',
    says: 'the journal releases only after the fsync',
    seed: 1,
    patches: [{ file: 'src/journal/lmdb/segment.ts', find: 'await Promise.all([durable, ', replace: 'await Promise.all([void durable, ' }],
  },
  {
    id: '3',
    says: 'a release waits until the conflict answers before it have found room',
    seed: 81,
    patches: [
      {
        file: SERVER,
        find: 'this.#sendRejections(group, answer)',
        replace: '(this.#sendRejections(group, answer), true)',
      },
    ],
  },
  {
    id: '4',
    says: 'a worker loads the release word before it drains the answers',
    seed: 941,
    patches: [
      {
        file: WORKER,
        find: 'let work = this.#takeRejections()',
        replace: 'let work = this.#takeRejections() + 0 * (this.#released = this.#journal.releasedPosition())',
      },
    ],
  },
  {
    id: '5',
    says: "a duplicate's answer waits for the durable version that it derives from",
    seed: 80,
    patches: [{ file: EXECUTOR, find: 'entry.waitPosition = slot.waitPosition', replace: 'entry.waitPosition = -Infinity' }],
  },
  {
    id: '5b',
    says: 'an answer waits for the durable version that it derives from',
    seed: 59,
    patches: [{ file: INBOUND, find: 'while (queue.isFirstDurable(released))', replace: 'while (queue.isFirstDurable(Infinity))' }],
  },
  {
    id: '5c',
    says: 'a read waits for the durable version that it derives from',
    seed: 639,
    patches: [{ file: WORKER, find: 'isDurable: (waitPosition) => waitPosition <= this.#released', replace: 'isDurable: () => true' }],
  },
  {
    id: '5d',
    says: 'the answer is published before the inbound release',
    seed: 479,
    patches: [
      { file: INBOUND, find: 'this.#answers.publish()', replace: 'void 0' },
      { file: INBOUND, find: 'this.#commands.release(end)', replace: '(this.#commands.release(end), this.#answers.publish())' },
    ],
  },
  {
    id: '5e',
    says: 'a snapshot is of durable rows',
    seed: 87,
    patches: [
      { file: 'src/serving/snapshot-keeper.ts', find: '!isSurelyStored && !this.#isOfNewestRow(snapshot)', replace: 'false' },
      { file: SERVER, find: 'rejectedIndexes.has(appendIndex)', replace: 'false' },
    ],
  },
  {
    id: '7',
    says: 'terms are durable before they are given out',
    seed: 99,
    patches: [{ file: 'src/processes/durable-file.ts', find: 'fsyncSync(directory)', replace: 'void directory' }],
  },
  {
    id: '7b',
    says: 'the file of the terms is whole before it takes its name',
    seed: 1,
    patches: [{ file: 'src/processes/durable-file.ts', find: 'fsyncSync(file)', replace: 'void file' }],
  },
  {
    id: '8',
    says: 'an append names the writer of the row that it builds on',
    seed: 29,
    patches: [
      {
        file: ENTITIES,
        find: ' && rows[row + NEXT_TERM] === term && rows[row + NEXT_NUMBER] === appendNumber',
        replace: ' && term >= 0 && appendNumber >= 0',
      },
    ],
  },
  {
    id: '9',
    says: 'a frame at or below the mark is skipped only when its own row is there',
    seed: 442,
    patches: [
      {
        file: APPEND_PATH,
        find: 'entity >= 0 && recent.has(term, number, entity, expectedVersion + 1) ?',
        replace: 'recent !== undefined ?',
      },
    ],
  },
  {
    id: '10',
    says: 'a command that comes a second time is known by its outcome',
    seed: 1,
    patches: [{ file: EXECUTOR, find: 'slot.outcomes?.lookup(source, command.sequence)', replace: 'undefined' }],
  },
  {
    id: '10b',
    says: 'an append is taken only on the row that it names',
    seed: 19,
    patches: [
      {
        file: ENTITIES,
        find: 'rows[row + NEXT_VERSION] === version && rows[row + NEXT_TERM] === term && rows[row + NEXT_NUMBER] === appendNumber',
        replace: 'version + term + appendNumber >= 0',
      },
    ],
  },
  {
    id: '12',
    says: 'a door that refused a command takes no later one before it',
    seed: 435,
    patches: [
      { file: DOOR, find: 'if (channel.blockedBytes > 0)', replace: 'if (channel.blockedBytes < 0)' },
      { file: DOOR, find: 'if (lane.refusedAt === this.#roomCount ||', replace: 'if (lane.refusedAt === -2 ||' },
    ],
  },
  {
    id: '12b',
    says: 'an HTTP door that refused a request takes none of its source that was under way with it',
    seed: 344,
    patches: [
      { file: 'src/ingest/source-order.ts', find: 'awaited === undefined || sequence <= awaited.from', replace: 'sequence !== undefined' },
    ],
  },
  {
    id: '13',
    says: 'a door has no more commands of a source and an entity in flight than outcomes are remembered',
    seed: 97,
    patches: [
      { file: 'src/ingest/door.ts', find: 'IN_FLIGHT_PER_SOURCE_ENTITY_MAX = 16', replace: 'IN_FLIGHT_PER_SOURCE_ENTITY_MAX = 1024' },
    ],
  },
  {
    id: '14',
    says: 'outcomes are in every snapshot',
    seed: 1,
    patches: [
      { file: 'src/entity/snapshot.ts', find: '(content.outcomes ?? new Outcomes()).toPlain()', replace: 'new Outcomes().toPlain()' },
    ],
  },
  {
    id: '14b',
    says: 'what an entity has told is in every snapshot',
    seed: 2,
    patches: [
      {
        file: 'src/entity/snapshot.ts',
        find: 'outbox === undefined ? [state, outcomes, latestAt]',
        replace: 'outbox !== null ? [state, outcomes, latestAt]',
      },
    ],
  },
  {
    id: '14c',
    says: 'who an entity has to do with is in every snapshot',
    seed: 19,
    patches: [
      {
        file: 'src/entity/outbox.ts',
        find: 'this.kin === undefined ? [this.#next, messages]',
        replace: 'this.kin !== null ? [this.#next, messages]',
      },
    ],
  },
  {
    id: '15',
    says: 'messages of one entity to another go in order, also after a recovery',
    seed: 86,
    patches: [
      {
        file: MESSENGER,
        find: 'outbox.forEach((message)',
        replace: '[...outbox.toPlain()[1]].reverse().map(([number]) => outbox.get(number)).forEach((message)',
      },
    ],
  },
  {
    id: '15b',
    says: 'a message leaves when its row is durable',
    seed: 9,
    patches: [{ file: MESSENGER, find: 'first !== undefined && first.position <= released', replace: 'first !== undefined' }],
  },
  {
    id: '15c',
    says: 'that a command has failed is told in the append of its refusal',
    seed: 19,
    patches: [
      {
        file: MESSENGER,
        find: "this.#told.push({ slot, outbox, number: data['number']",
        replace:
          "this.#told.push({ slot, outbox, ...(data.kind === 'effect' ? { early: this.#arm(slot, outbox, outbox.get(data.number)) } : {}), number: data['number']",
      },
    ],
  },
  {
    id: '15d',
    says: 'what came of an effect takes it out of the outbox, also after a recovery',
    seed: 1,
    patches: [
      {
        file: 'src/entity/outbox.ts',
        find: 'const message = this.get(number)',
        replace: "const message = this.get(number)?.kind === 'effect' ? undefined : this.get(number)",
      },
    ],
  },
  {
    id: '15e',
    says: 'a gateway that begins says so, and what the one before had taken is sent again',
    seed: 1,
    patches: [{ file: 'src/effects/effect-link.ts', find: '= [undefined]', replace: '= []' }],
  },
  {
    id: '16',
    says: 'a full outbox holds back commands of devices, and messages pass them',
    seed: 9,
    patches: [{ file: MESSENGER, find: 'entry.link >= this.#options.deviceLinks', replace: 'entry.link < 0' }],
  },
  {
    id: '19',
    says: 'on a conflict the worker drops the state of the shard and loads it again',
    seed: 26,
    patches: [
      { file: WORKER, find: 'if (!dropped.has(slot.shard))', replace: 'if (dropped.size > 0)' },
      { file: WORKER, find: 'this.#loader.loadShards([...dropped])', replace: 'for (const shard of dropped) this.#backlog.open(shard)' },
    ],
  },
  {
    id: '22',
    says: 'nothing new goes from a door to a shard that moves',
    seed: 6,
    patches: [{ file: DOOR, find: 'return this.#placement.isHeld(shard)', replace: 'return shard < 0' }],
  },
  {
    id: '22b',
    says: 'no message goes to a shard that moves',
    seed: 184,
    patches: [{ file: MESSENGER, find: '!placement.isHeld(lane.toHash % shardCount)', replace: 'shardCount > 0' }],
  },
  {
    id: '22c',
    says: 'a worker gives a shard up when everything that was sent to it is finished',
    seed: 243,
    patches: [{ file: MOVES, find: 'inbound.every((link, index)', replace: '[].every((link, index)' }],
  },
  {
    id: '22d',
    says: 'messages to an entity that has moved go where it is',
    seed: 184,
    patches: [
      { file: MESSENGER, find: 'lane.link = this.#linkTo(lane.toHash)', replace: 'void this.#linkTo(lane.toHash)' },
      { file: MESSENGER, find: 'lane.link instanceof MessageLink ? this.#linkTo(lane.toHash) : lane.link', replace: 'lane.link' },
    ],
  },
  {
    id: '22e',
    says: 'what comes before a shard is called for waits for it',
    seed: 484,
    patches: [{ file: INTAKE, find: 'messages?.placement.slotOf(entry.shard) !== messages?.own', replace: 'true' }],
  },
]

/** None for what is no rule. */
export function patchesOf(id: string): readonly Patch[] {
  return RULES.find((rule) => rule.id === id)?.patches ?? []
}
