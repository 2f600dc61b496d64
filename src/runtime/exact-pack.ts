import { deserialize, serialize } from 'node:v8'

/** Base64 of V8's serialisation, which keeps every double as it is (-0 too), for lines of JSON between two processes of one installation on one Node. */
export function packExact(value: unknown): string {
  return serialize(value).toString('base64')
}

export function unpackExact<T>(text: string): T {
  return deserialize(Buffer.from(text, 'base64')) as T
}
