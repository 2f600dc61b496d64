import type { EntityId } from '#base/ids.js'
import { Prng } from '#base/prng.js'
import type { PlantConfig, Role } from './plant.js'
import type { EnvironmentName } from './simulated-log.js'
import type { TallyCommand } from './tally.js'

/** What happens next. Steps that make no sense when their turn comes do nothing, so that any of them can be left out of a schedule. */
export type Step =
  | { readonly do: 'turn'; readonly role: Role; readonly slot: number; readonly meanwhile?: readonly Meanwhile[] }
  | { readonly do: 'disk'; readonly environment: EnvironmentName; readonly count: number }
  | { readonly do: 'disk fails'; readonly environment: EnvironmentName }
  | { readonly do: 'kill' | 'start'; readonly role: Role; readonly slot: number }
  | {
      readonly do: 'send'
      readonly device: number
      readonly drafts: readonly { readonly entity: EntityId; readonly command: TallyCommand }[]
    }
  | { readonly do: 'pump'; readonly device: number }
  | { readonly do: 'ask again'; readonly device: number; readonly which: number }
  | { readonly do: 'reconnect'; readonly device: number; readonly gateway: number }
  | { readonly do: 'read'; readonly worker: number; readonly entity: EntityId }
  | { readonly do: 'interfere'; readonly entity: EntityId }
  | { readonly do: 'room'; readonly isThere: boolean }
  | { readonly do: 'time'; readonly ms: number }
  | { readonly do: 'round'; readonly count: number }
  | { readonly do: 'replace all' }
  /** The next step of a move of the entity's shard to another worker, or of the one that is under way. */
  | { readonly do: 'move'; readonly entity: EntityId; readonly to: number }
  | { readonly do: 'give the move up' }
  | { readonly do: 'lose power'; readonly seed: number }

/** What others do right before a process, in its turn, looks at shared memory for the `at`-th time. */
export interface Meanwhile {
  readonly at: number
  readonly step: Step
}

export const DEVICE_KINDS = ['plain', 'eager', 'http', 'http without numbers', 'mqtt', 'csv'] as const

/** All that a schedule may name. */
export const ENTITIES: readonly EntityId[] = ['tally/a', 'tally/b', 'tally/c', 'tally/d']

/** An append that tells something is larger than others. */
const MESSAGES_CAPACITY_BYTES_MIN = 2048

export interface Schedule {
  readonly config: PlantConfig
  readonly steps: readonly Step[]
}

/** What a schedule is made of mostly: each kind of trouble is met more often when it does not come with all the others. */
interface Mood {
  readonly conflicts: number
  readonly deaths: number
  readonly power: number
  readonly bursts: number
}

/** The schedule of a seed: everything that happens in it. */
export function scheduleOf(seed: number): Schedule {
  const random = new Prng(seed)
  const config = configOf(random)
  const mood: Mood = {
    conflicts: random.pick([0, 0, 30, 80]),
    deaths: random.pick([4, 15, 40]),
    power: random.pick([0, 4, 12]),
    bursts: random.below(3),
  }
  const entityCount = 1 + random.below(4)
  const length = 12 + random.below(48)
  const devices = Array.from({ length: 1 + random.below(3) }, () => random.below(DEVICE_KINDS.length))
  const steps: Step[] = []
  const world: World = { config, mood, entityCount, devices }
  while (steps.length < length) steps.push(...(random.below(16) === 0 ? episodeOf(random, world) : [stepOf(random, world)]))
  const told = withKin(new Prng(`kin of ${seed}`), withMessages(new Prng(`messages of ${seed}`), { config, steps }))
  return withMoves(new Prng(`moves of ${seed}`), withEffects(new Prng(`effects of ${seed}`), told))
}

/** In some schedules shards move between the workers, a step of a move between others or in the middle of somebody's turn. What else happens is the same. */
function withMoves(random: Prng, { config, steps }: Schedule): Schedule {
  const often = random.pick([0, 20, 50, 90])
  if (config.workers === 1 || often === 0) return { config, steps }
  const move = (): Step => {
    if (random.below(24) === 0) return { do: 'give the move up' }
    return { do: 'move', entity: random.pick(ENTITIES), to: random.below(config.workers) }
  }
  const moved = steps.flatMap((step): Step[] => {
    if (random.below(100) >= often) return [step]
    if (step.do !== 'turn' || random.below(3) > 0) return [move(), step]
    const meanwhile = [...(step.meanwhile ?? []), { at: random.below(16), step: move() }]
    return [{ ...step, meanwhile: meanwhile.sort((a, b) => a.at - b.at) }]
  })
  return { config, steps: moved }
}

/** In some schedules entities have something done outside where devices would add. What else happens is the same. */
function withEffects(random: Prng, { config, steps }: Schedule): Schedule {
  const often = random.pick([0, 0, 0, 30, 70])
  if (often === 0) return { config, steps }
  const commandOf = (command: TallyCommand): TallyCommand => (command === 'add' && random.below(100) < often ? 'ring' : command)
  return {
    config: { ...config, capacityBytes: Math.max(MESSAGES_CAPACITY_BYTES_MIN, config.capacityBytes) },
    steps: steps.map((step) =>
      step.do !== 'send' ? step : { ...step, drafts: step.drafts.map(({ entity, command }) => ({ entity, command: commandOf(command) })) },
    ),
  }
}

/** In some schedules entities tell each other something, and themselves for later, where devices would add. What else happens is the same. */
function withMessages(random: Prng, { config, steps }: Schedule): Schedule {
  const often = random.pick([0, 0, 20, 60])
  if (often === 0) return { config, steps }
  const limits = { ...config.limits, outboxMax: random.pick([1, 2, 1000]) }
  const commandOf = (command: TallyCommand): TallyCommand => {
    if (command !== 'add' || random.below(100) >= often) return command
    return random.pick(['hand', 'hand', 'later'])
  }
  return {
    config: { ...config, capacityBytes: Math.max(MESSAGES_CAPACITY_BYTES_MIN, config.capacityBytes), limits },
    steps: steps.map((step) =>
      step.do !== 'send' ? step : { ...step, drafts: step.drafts.map(({ entity, command }) => ({ entity, command: commandOf(command) })) },
    ),
  }
}

/** In some of those schedules entities spawn each other, fail, and hear of it, where they would tell each other something. */
function withKin(random: Prng, schedule: Schedule): Schedule {
  if (random.below(3) > 0) return schedule
  const commandOf = (command: TallyCommand): TallyCommand => (command === 'hand' ? random.pick(['adopt', 'hurt', 'hurt', 'hand']) : command)
  const { config, steps } = schedule
  return {
    config,
    steps: steps.map((step) =>
      step.do !== 'send' ? step : { ...step, drafts: step.drafts.map(({ entity, command }) => ({ entity, command: commandOf(command) })) },
    ),
  }
}

interface World {
  readonly config: PlantConfig
  readonly mood: Mood
  readonly entityCount: number
  readonly devices: readonly number[]
}

/**
 * What takes many steps to come about, and steps by themselves seldom add up to: a command comes as far as some place between its device and the disk, perhaps together
 * with a foreign append, and then its device connects elsewhere, somebody dies, or the power is lost, and those who are left go on.
 */
function episodeOf(random: Prng, world: World): Step[] {
  const { config, mood } = world
  const { send, device, entity } = sendOfOne(random, world)
  const isConflict = random.below(100) < mood.conflicts
  const gateway = device % config.gateways
  const steps: Step[] = [send, { do: 'turn', role: 'gateway', slot: gateway }]
  const workers = Array.from({ length: config.workers }, (_, slot): Step => ({ do: 'turn', role: 'worker', slot }))
  const journal: Step = { do: 'turn', role: 'journal', slot: 0 }
  if (isConflict) steps.push({ do: 'interfere', entity })
  steps.push(...workers)
  if (random.below(3) === 0) steps.push(...elsewhere(device, (gateway + 1) % config.gateways, workers))
  steps.push(journal, { do: 'disk', environment: 'log', count: random.pick([1, 2, 3, 4, 4, 4]) })
  if (random.below(2) === 0) {
    const died = random.pick([{ role: 'journal', slot: 0 }, seatOf(random, config)] as const)
    steps.push({ ...died, do: 'kill' }, { ...died, do: 'start' }, journal)
  }
  for (const worker of workers)
    steps.push(random.below(3) === 0 ? worker : withMeanwhile(worker, random.below(random.pick([6, 16])), journal))
  steps.push(journal, { do: 'disk', environment: 'log', count: 4 }, journal)
  if (random.below(2) === 0) steps.push(...workers, sendOfOne(random, world, device, entity).send)
  for (const worker of workers) steps.push(withMeanwhile(worker, random.below(16), { do: 'turn', role: 'gateway', slot: gateway }))
  steps.push({ do: 'turn', role: 'gateway', slot: gateway })
  if (random.below(16) >= mood.power) return steps
  return [...steps.slice(0, 4 + random.below(steps.length)), { do: 'lose power', seed: random.below(1 << 30) }]
}

function elsewhere(device: number, gateway: number, workers: readonly Step[]): Step[] {
  return [
    { do: 'reconnect', device, gateway },
    { do: 'turn', role: 'gateway', slot: gateway },
    ...workers,
    ...workers,
    { do: 'turn', role: 'gateway', slot: gateway },
  ]
}

function withMeanwhile(step: Step, at: number, other: Step): Step {
  return step.do === 'turn' ? { ...step, meanwhile: [{ at, step: other }] } : step
}

interface Sending {
  readonly send: Step
  readonly device: number
  readonly entity: EntityId
}

function sendOfOne(random: Prng, world: World, device = random.pick(world.devices), entity = entityOf(random, world)): Sending {
  const count = world.mood.bursts === 0 ? random.pick([1, 20]) : random.pick([1, 2, 3])
  const drafts = Array.from({ length: count }, () => ({ entity, command: random.pick(['add', 'pair', 'refuse'] as const) }))
  return { send: { do: 'send', device, drafts }, device, entity }
}

function configOf(random: Prng): PlantConfig {
  return {
    workers: 1 + random.below(2),
    gateways: 1 + random.below(2),
    capacityBytes: random.pick([1024, 2048, 4096]),
    answerBytes: random.pick([256, 512, 1024]),
    rejectionBytes: random.pick([128, 256, 1024]),
    firstPosition: random.pick([0, -1024, 0x7fff_fc00]),
    framesMax: random.pick([1, 3, 256]),
    headsEveryRows: random.pick([1, 8, 1000]),
    limits: {
      liveEntitiesMax: random.pick([1, 2, 1000, 1000, 1000]),
      passivateAfterMs: random.pick([20, 500, 1_000_000_000, 1_000_000_000]),
      snapshotEvery: random.pick([1, 3, 3, 1_000_000]),
      commandsPerTurn: random.pick([2, 8, 64]),
      inFlightMax: random.pick([4, 32, 128]),
      tailRowsMax: 8,
    },
  }
}

function stepOf(random: Prng, world: World): Step {
  const { mood, config, devices } = world
  const weights: readonly (readonly [number, () => Step])[] = [
    [160, () => sendOf(random, world)],
    [330, () => turnOf(random, world, 2)],
    [140, () => diskOf(random)],
    [60, () => ({ do: 'round', count: 1 + random.below(3) })],
    [mood.deaths, () => killOf(random, config)],
    [mood.deaths * 2, () => ({ ...seatOf(random, config), do: 'start' })],
    [30, () => ({ do: 'pump', device: random.pick(devices) })],
    [10, () => ({ do: 'ask again', device: random.pick(devices), which: random.below(64) })],
    [12, () => ({ do: 'reconnect', device: random.pick(devices), gateway: random.below(config.gateways) })],
    [12, () => ({ do: 'read', worker: random.below(config.workers), entity: entityOf(random, world) })],
    [mood.conflicts, () => ({ do: 'interfere', entity: entityOf(random, world) })],
    [6, () => ({ do: 'disk fails', environment: random.pick(['log', 'log', 'catalog']) })],
    [8, () => ({ do: 'room', isThere: random.below(2) === 0 })],
    [30, () => ({ do: 'time', ms: random.pick([1, 30, 300, 1200]) })],
    [mood.power / 2, () => ({ do: 'replace all' })],
    [mood.power, () => ({ do: 'lose power', seed: random.below(1 << 30) })],
  ]
  return weighted(random, weights)
}

function weighted(random: Prng, weights: readonly (readonly [number, () => Step])[]): Step {
  let die = random.next() * weights.reduce((sum, [weight]) => sum + weight, 0)
  for (const [weight, make] of weights) {
    if (die < weight) return make()
    die -= weight
  }
  return { do: 'round', count: 1 }
}

function turnOf(random: Prng, world: World, depth: number): Step {
  const seat = seatOf(random, world.config)
  if (depth === 0 || random.below(3) > 0) return { ...seat, do: 'turn' }
  const meanwhile: Meanwhile[] = []
  for (let count = 1 + random.below(3); count > 0; count--) {
    meanwhile.push({ at: random.below(random.pick([4, 24])), step: meanwhileOf(random, world, depth, seat) })
  }
  return { ...seat, do: 'turn', meanwhile: meanwhile.sort((a, b) => a.at - b.at) }
}

/** Nothing that has to wait for something itself. */
function meanwhileOf(random: Prng, world: World, depth: number, own: { readonly role: Role; readonly slot: number }): Step {
  return weighted(random, [
    [100, () => turnOf(random, world, depth - 1)],
    [30, () => diskOf(random)],
    [world.mood.deaths, () => ({ ...own, do: 'kill' })],
    [world.mood.deaths / 2, () => killOf(random, world.config)],
    [world.mood.conflicts / 3, () => ({ do: 'interfere', entity: entityOf(random, world) })],
  ])
}

function sendOf(random: Prng, world: World): Step {
  const device = random.pick(world.devices)
  const count = world.mood.bursts === 0 ? random.pick([1, 2, 2, 20]) : random.pick([1, 1, 2, 3])
  const isOfOne = random.below(2) === 0
  const entity = entityOf(random, world)
  const drafts = Array.from({ length: count }, () => ({
    entity: isOfOne ? entity : entityOf(random, world),
    command: random.pick(['add', 'add', 'add', 'pair', 'look', 'refuse'] as const),
  }))
  return { do: 'send', device, drafts }
}

function diskOf(random: Prng): Step {
  return { do: 'disk', environment: random.below(4) === 0 ? 'catalog' : 'log', count: random.pick([1, 2, 3, 4, 4, 8]) }
}

function killOf(random: Prng, config: PlantConfig): Step {
  return { ...seatOf(random, config), do: 'kill' }
}

function seatOf(random: Prng, config: PlantConfig): { readonly role: Role; readonly slot: number } {
  const die = random.below(10)
  if (die < 4) return { role: 'journal', slot: 0 }
  return die < 7 ? { role: 'worker', slot: random.below(config.workers) } : { role: 'gateway', slot: random.below(config.gateways) }
}

function entityOf(random: Prng, { entityCount }: World): EntityId {
  return ENTITIES[random.below(entityCount)] as EntityId
}
