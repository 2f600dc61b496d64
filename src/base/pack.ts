import { Packr, Unpackr } from 'msgpackr'

const packr = new Packr({ useRecords: false, moreTypes: true })
const unpackr = new Unpackr({ useRecords: false, moreTypes: true })

// The first byte of what is written and read here, as msgpack has it.
const FIXINT_MAX = 0x7f
const FALSE = 0xc2
const TRUE = 0xc3
const FLOAT64 = 0xcb
const UINT8 = 0xcc
const UINT16 = 0xcd
const UINT32 = 0xce

const float = new DataView(new ArrayBuffer(8))

/**
 * Plain msgpack without shared structures: what one process packs, its successor can read. For replies, refusals and rare messages. Numbers and
 * truth values, which many replies are, are written here: the library's set-up per value is a fifth of what an ask costs (bench/actors.ts).
 */
export function pack(value: unknown): Uint8Array {
  return packScalar(value) ?? new Uint8Array(packr.pack(value))
}

export function unpack<T = unknown>(bytes: Uint8Array): T {
  return (unpackScalar(bytes) ?? unpackr.unpack(bytes)) as T
}

/** Undefined for everything else, and for integers below zero. */
function packScalar(value: unknown): Uint8Array | undefined {
  if (typeof value === 'boolean') return Uint8Array.of(value ? TRUE : FALSE)
  if (typeof value !== 'number') return undefined
  if (Number.isInteger(value) && Math.abs(value) <= 0xffff_ffff) return value < 0 ? undefined : packUnsigned(value)
  float.setFloat64(0, value)
  const bytes = new Uint8Array(9)
  bytes[0] = FLOAT64
  for (let index = 0; index < 8; index++) bytes[index + 1] = float.getUint8(index)
  return bytes
}

function packUnsigned(value: number): Uint8Array {
  if (value <= FIXINT_MAX) return Uint8Array.of(value)
  if (value <= 0xff) return Uint8Array.of(UINT8, value)
  if (value <= 0xffff) return Uint8Array.of(UINT16, value >>> 8, value)
  return Uint8Array.of(UINT32, value >>> 24, value >>> 16, value >>> 8, value)
}

/** Undefined for everything else: the library says what is wrong with bytes that are not what they begin as. */
function unpackScalar(bytes: Uint8Array): number | boolean | undefined {
  const first = byteAt(bytes, 0)
  switch (bytes.length) {
    case 1:
      return first <= FIXINT_MAX ? first : first === TRUE ? true : first === FALSE ? false : undefined
    case 2:
      return first === UINT8 ? bytes[1] : undefined
    case 3:
      return first === UINT16 ? (byteAt(bytes, 1) << 8) | byteAt(bytes, 2) : undefined
    case 5:
      return first === UINT32
        ? ((byteAt(bytes, 1) << 24) | (byteAt(bytes, 2) << 16) | (byteAt(bytes, 3) << 8) | byteAt(bytes, 4)) >>> 0
        : undefined
    case 9:
      return first === FLOAT64 ? unpackFloat(bytes) : undefined
    default:
      return undefined
  }
}

function unpackFloat(bytes: Uint8Array): number {
  for (let index = 0; index < 8; index++) float.setUint8(index, byteAt(bytes, index + 1))
  return float.getFloat64(0)
}

function byteAt(bytes: Uint8Array, index: number): number {
  return bytes[index] as number
}
