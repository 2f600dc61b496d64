import { messageOf } from '#base/errors.js'
import { hash32 } from '#base/hash.js'
import { parseEntityId } from '#base/ids.js'
import { ENTITY_SOURCE_PREFIX, type EntityModel, type PlantModel } from '#entity/index.js'

/** Of a source or a correlation, since they stand in every row. */
export const SOURCE_BYTES_MAX = 512
/** Sources that begin so are doors: what they number is their own. */
export const DOOR_SOURCE_PREFIX = 'door:'

/** What a door keeps of an entity that is being commanded. */
export class Route {
  readonly model: EntityModel
  readonly bytes: Uint8Array
  readonly hash: number
  readonly lanes = new Map<string, Lane>()
  /** The one that was used last: most entities have one source. */
  lane: Lane | undefined

  constructor(model: EntityModel, bytes: Uint8Array) {
    this.model = model
    this.bytes = bytes
    this.hash = hash32(bytes)
  }
}

/** The commands of one source to one entity. */
export class Lane {
  /** Empty: those that have no source and that the door numbers itself. */
  readonly source: string
  readonly sourceBytes: Uint8Array
  inFlight = 0
  /** Lines that are open on it: it is kept for them. */
  lineCount = 0
  /** The door's count of rooms at which a command was refused because too many were in flight. */
  refusedAt = -1

  constructor(source: string, sourceBytes: Uint8Array) {
    this.source = source
    this.sourceBytes = sourceBytes
  }
}

const utf8 = new TextEncoder()

/**
 * Routes and lanes by entity and source, so that ids are taken apart and encoded once and not per command. Bounded: when there are too many, those
 * with nothing in flight go; what is in flight is bounded by the rings.
 */
export class Lanes {
  readonly #plant: PlantModel
  readonly #ownSource: Uint8Array
  readonly #keptMax: number
  readonly #routes = new Map<string, Route>()
  readonly #sources = new Map<string, Uint8Array>()
  #laneCount = 0
  #sweepAt: number

  constructor(plant: PlantModel, ownSource: string, keptMax = 262_144) {
    this.#plant = plant
    this.#ownSource = utf8.encode(ownSource)
    this.#keptMax = keptMax
    this.#sweepAt = keptMax
  }

  /** Routes and lanes kept. */
  get keptCount(): number {
    return this.#routes.size + this.#laneCount
  }

  /** The route to an entity, or why there is none. */
  route(entity: string): Route | string {
    return this.#routes.get(entity) ?? this.#newRoute(entity)
  }

  /** The lane of a source on a route that was just asked for, or why there is none. */
  lane(route: Route, source: string): Lane | string {
    const latest = route.lane
    if (latest !== undefined && latest.source === source) return latest
    const lane = route.lanes.get(source) ?? this.#newLane(route, source)
    if (typeof lane !== 'string') route.lane = lane
    return lane
  }

  #newRoute(entity: string): Route | string {
    let type: string
    try {
      type = parseEntityId(entity).type
    } catch (error) {
      return messageOf(error)
    }
    const model = this.#plant.model(type)
    if (model === undefined) return `there is no entity type ${type}; there are ${this.#plant.models.map(({ name }) => name).join(', ')}`
    if (this.keptCount >= this.#sweepAt) this.#sweep(undefined)
    const route = new Route(model, utf8.encode(entity))
    this.#routes.set(entity, route)
    return route
  }

  #newLane(route: Route, source: string): Lane | string {
    const bytes = source === '' ? this.#ownSource : this.#sourceBytes(source)
    if (typeof bytes === 'string') return bytes
    if (this.keptCount >= this.#sweepAt) this.#sweep(route)
    const lane = new Lane(source, bytes)
    route.lanes.set(source, lane)
    this.#laneCount++
    return lane
  }

  #sourceBytes(source: string): Uint8Array | string {
    const known = this.#sources.get(source)
    if (known !== undefined) return known
    if (source.startsWith(DOOR_SOURCE_PREFIX)) return `source: ${DOOR_SOURCE_PREFIX} is what doors call themselves`
    if (source.startsWith(ENTITY_SOURCE_PREFIX)) return `source: ${ENTITY_SOURCE_PREFIX} is what entities call themselves`
    const bytes = encodeLabel(source)
    if (bytes === undefined) return `source: longer than ${SOURCE_BYTES_MAX} bytes or not valid Unicode`
    if (this.#sources.size >= this.#keptMax) this.#sources.clear()
    this.#sources.set(source, bytes)
    return bytes
  }

  /** Costs a look at every lane, and happens again only when there are twice as many. */
  #sweep(inUse: Route | undefined): void {
    for (const [entity, route] of this.#routes) {
      for (const [source, lane] of route.lanes) {
        if (lane.inFlight > 0 || lane.lineCount > 0) continue
        route.lanes.delete(source)
        this.#laneCount--
      }
      route.lane = undefined
      if (route.lanes.size === 0 && route !== inUse) this.#routes.delete(entity)
    }
    this.#sweepAt = Math.max(this.#keptMax, this.keptCount * 2)
  }
}

/** Undefined when the text is too long or would come back as another. */
export function encodeLabel(text: string): Uint8Array | undefined {
  if (text.length > SOURCE_BYTES_MAX || !text.isWellFormed()) return undefined
  const bytes = utf8.encode(text)
  return bytes.length > SOURCE_BYTES_MAX ? undefined : bytes
}
