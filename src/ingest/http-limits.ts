/** What the HTTP door bounds beside what is configured. Times in milliseconds. */
export interface HttpLimits {
  /** From a connection, or from the answer before, to the end of a request's headers. */
  readonly headersMs: number
  /** From the first byte of a request to the last of its body. */
  readonly requestMs: number
  /** An idle connection is kept so long for the next request. */
  readonly keepAliveMs: number
  /** How long a client may take to read its answer. */
  readonly answerMs: number
  /** How long a request waits for room before it is told that the plant is full. */
  readonly roomMs: number
  /** How long what comes behind an answered 413 is still read and thrown away, so that the answer arrives. */
  readonly lingerMs: number
  /** Requests of one connection under way at a time; one more is told so and the connection ends. */
  readonly pipelinedMax: number
  /** Of all bodies held at a time, packed and unpacked together. */
  readonly bodiesBytesMax: number
}

export const HTTP_LIMITS: HttpLimits = {
  headersMs: 10_000,
  requestMs: 30_000,
  keepAliveMs: 5_000,
  answerMs: 30_000,
  roomMs: 1000,
  lingerMs: 1000,
  pipelinedMax: 32,
  bodiesBytesMax: 64 << 20,
}
