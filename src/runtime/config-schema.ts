import { z } from 'zod'
import { isPowerOfTwo } from '#base/align.js'
import { whyNotBind } from '#ingest/bind-check.js'
import { BYTES_PATTERN, DURATION_PATTERN, type DurationUnit, parseBytes, parseDuration } from './config-units.js'

/** A hundred years. */
const MS_MAX = 36_525 * 86_400_000

/**
 * The shape of a plant's configuration and the bounds of each value. Defaults and their reasons stand in config/default.yaml, which a test
 * holds against this; the JSON Schema in config/config.schema.json is made from both. Every value belongs to a group.
 */
export const configSchema = z.strictObject({
  bus: z.strictObject({
    capacityBytes: bytes(4096, 2 ** 30).refine(isPowerOfTwo, 'must be a power of two'),
    strategy: z.enum(['spin', 'adaptive', 'park']),
    spinMicros: duration('us', 0, 1_000_000),
  }),
  journal: z.strictObject({
    batchRowsMax: whole(1, 1_000_000),
    batchBytesMax: bytes(64 * 1024, 2 ** 30),
    reserveBytes: bytes(0, 2 ** 50),
    mapBytes: bytes(2 ** 24, 2 ** 46),
    segmentRowsMax: whole(1, 100_000_000),
    segmentBytesMax: bytes(2 ** 16, 2 ** 34),
    segmentAgeMs: duration('ms', 100, MS_MAX),
  }),
  retention: z.strictObject({
    ageMs: duration('ms', 1, MS_MAX).nullable(),
    bytesMax: bytes(0, 2 ** 50).nullable(),
    heldBytesMax: bytes(0, 2 ** 50),
    archive: z.string().regex(/^[./]/, 'must be a path that begins with / or .').nullable(),
  }),
  workers: z.strictObject({
    count: whole(1, 64),
    max: whole(1, 64).nullable(),
    liveEntitiesMax: whole(1, 100_000_000),
    passivateAfterMs: duration('ms', 1, 2 ** 31 - 1),
    snapshotEvery: whole(1, 1_000_000_000),
    tailRowsMax: whole(0, 1_000_000_000),
    parkAfterDeaths: whole(1, 1000),
  }),
  processes: z.strictObject({
    pulseMs: duration('ms', 1, 60_000),
    pulseLimitMs: duration('ms', 10, 600_000),
    longTurnMs: duration('ms', 10, 600_000),
    turnLimitMs: duration('ms', 10, 600_000),
    backoffMs: duration('ms', 0, 600_000),
    backoffMsMax: duration('ms', 0, 3_600_000),
    spares: whole(0, 1),
    warmUpCpuMs: duration('ms', 0, 60_000),
  }),
  http: z.strictObject({
    host: z.string().min(1),
    port: whole(0, 65_535),
    bodyBytesMax: bytes(1024, 2 ** 30),
    connectionsMax: whole(1, 65_535),
    ratePerSecond: whole(0, 10_000_000),
    token: z
      .string()
      .regex(/^[\x21-\x7e]+$/, 'must be visible ASCII without spaces')
      .min(16)
      .nullable()
      .meta({ secret: true }),
    tls: z.strictObject({ cert: z.string().min(1).nullable(), key: z.string().min(1).nullable() }),
  }),
  effects: z.strictObject({
    targets: z.record(
      z.string().regex(/^[a-z][a-z0-9-]{0,63}$/, 'must be a name of lower-case letters, digits and dashes'),
      z.strictObject({
        url: z.string().min(1),
        headers: z.record(z.string().regex(/^[\w!#$%&'*+.^`|~-]+$/, 'must be the name of a header'), z.string()).optional(),
        timeoutMs: duration('ms', 1, 3_600_000).optional(),
        inFlightMax: whole(1, 1000).optional(),
        attemptsMax: whole(1, 1_000_000).optional(),
      }),
    ),
    timeoutMs: duration('ms', 1, 3_600_000),
    inFlightMax: whole(1, 1000),
    attemptsMax: whole(1, 1_000_000),
    retryMs: duration('ms', 1, 3_600_000),
    retryMsMax: duration('ms', 1, 86_400_000),
    responseBytesMax: bytes(0, 16 * 2 ** 20),
  }),
  metrics: z.strictObject({ enabled: z.boolean() }),
  log: z.strictObject({ level: z.enum(['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent']) }),
  stop: z.strictObject({ drainMs: duration('ms', 0, 600_000) }),
})

/** Sizes in bytes, times in the unit of their name; nothing is optional, since every knob has a default. */
export type Config = z.output<typeof configSchema>

export interface Knob {
  /** Dotted, such as `http.tls.cert`. */
  readonly path: string
  readonly schema: z.ZodType
  /** Never shown: `millrace config` says only whether it is set. */
  readonly isSecret: boolean
}

/** Every knob, in the order of the schema. */
export const KNOBS: ReadonlyMap<string, Knob> = new Map(knobsOf(configSchema, '').map((knob) => [knob.path, knob]))

/** What two values together must not be: the knob to name, and what is wrong. */
export function contradictions(config: Config): { readonly path: string; readonly wrong: string }[] {
  const { http, processes, workers } = config
  const found: { path: string; wrong: string }[] = []
  const isTls = http.tls.cert !== null && http.tls.key !== null
  if ((http.tls.cert === null) !== (http.tls.key === null)) {
    found.push({ path: http.tls.cert === null ? 'http.tls.key' : 'http.tls.cert', wrong: 'http.tls wants both cert and key, or neither' })
  }
  const wrongBind = whyNotBind({ host: http.host, hasToken: http.token !== null, hasTls: isTls })
  if (wrongBind !== undefined) found.push({ path: 'http.host', wrong: wrongBind })
  if (workers.max !== null && workers.max < workers.count) {
    found.push({ path: 'workers.max', wrong: 'must not be below workers.count' })
  }
  if (processes.pulseLimitMs < 2 * processes.pulseMs) {
    found.push({ path: 'processes.pulseLimitMs', wrong: 'must be at least twice processes.pulseMs, or healthy processes are replaced' })
  }
  if (processes.backoffMsMax < processes.backoffMs) {
    found.push({ path: 'processes.backoffMsMax', wrong: 'must not be below processes.backoffMs' })
  }
  return found
}

function knobsOf(group: z.ZodObject, prefix: string): Knob[] {
  return Object.entries(group.shape).flatMap(([name, schema]) => {
    const path = `${prefix}${name}`
    if (schema instanceof z.ZodObject) return knobsOf(schema, `${path}.`)
    const knob = schema as z.ZodType
    return [{ path, schema: knob, isSecret: knob.meta()?.['secret'] === true }]
  })
}

function whole(min: number, max: number): z.ZodNumber {
  return z.int().min(min).max(max)
}

function bytes(min: number, max: number): z.ZodType<number, number | string> {
  return withUnit(BYTES_PATTERN, parseBytes, 'a size such as 4MiB', min, max)
}

function duration(unit: DurationUnit, min: number, max: number): z.ZodType<number, number | string> {
  return withUnit(DURATION_PATTERN, (text) => parseDuration(text, unit), `a time such as 100ms that comes to whole ${unit}`, min, max)
}

function withUnit(
  pattern: RegExp,
  parse: (text: string) => number | undefined,
  what: string,
  min: number,
  max: number,
): z.ZodType<number, number | string> {
  const error = `must be ${what}, or a whole number from ${min} to ${max}`
  return z
    .union([z.int({ error }).min(min, { error }).max(max, { error }), z.string({ error }).regex(pattern, { error })], { error })
    .transform((value, context) => {
      const number = typeof value === 'number' ? value : parse(value)
      if (number !== undefined && number >= min && number <= max) return number
      context.issues.push({
        code: 'custom',
        input: value,
        message: number === undefined ? `must be ${what}` : `must be from ${min} to ${max}`,
      })
      return z.NEVER
    })
}
