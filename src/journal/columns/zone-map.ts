/**
 * What a scan needs to skip a chunk: the lowest and highest value, and how many values they speak for. NaN belongs to no range, so it is
 * left out of all three: `count` is the number of values that are not NaN, and a chunk of nothing but NaN has count 0, min +infinity, max -infinity.
 * -0 and 0 are the same here.
 */
export interface ZoneMap {
  readonly min: number
  readonly max: number
  readonly count: number
}

/** May a value in [low, high] be in the chunk? No false negatives. NaN never matches. */
export function mayHold(zone: ZoneMap, low: number, high: number): boolean {
  return zone.count > 0 && zone.min <= high && zone.max >= low
}
