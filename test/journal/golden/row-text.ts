import { brotliCompressSync, brotliDecompressSync } from 'node:zlib'
import type { Row } from '#journal/index.js'

/** A row as text that says every bit of it: what golden files hold. */
export function rowText(row: Row): string {
  return JSON.stringify(row, (_, value: unknown) => {
    if (typeof value === 'number' && (!Number.isFinite(value) || Object.is(value, -0))) return Object.is(value, -0) ? '-0' : String(value)
    if (value instanceof Uint8Array) return Buffer.from(value).toString('hex')
    return value
  })
}

/** Lines as base64 of what brotli makes of them: a golden file is to be small. */
export function packLines(lines: readonly string[]): string {
  return brotliCompressSync(lines.join('\n')).toString('base64')
}

export function unpackLines(packed: string): string[] {
  return brotliDecompressSync(Buffer.from(packed, 'base64')).toString('utf8').split('\n')
}
