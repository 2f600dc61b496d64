import { hash32 } from '#base/hash.js'
import { ENTITY_ID_BYTES_MAX } from '#base/ids.js'

const utf8 = new TextEncoder()

/** An entity id as bytes for as long as it is looked up: so that nothing is allocated for one that is known. */
export class IdScratch {
  readonly bytes = new Uint8Array(ENTITY_ID_BYTES_MAX)
  readonly view = new DataView(this.bytes.buffer)
  length = 0
  hash = 0

  /** Of a valid id. */
  take(id: string): void {
    const { bytes } = this
    const { length } = id
    let at = 0
    for (let code = 0; at < length && (code = id.charCodeAt(at)) < 0x80; at++) bytes[at] = code
    // Most are ASCII.
    this.length = at === length ? length : utf8.encodeInto(id, bytes).written
    this.hash = hash32(bytes, 0, this.length)
  }

  copy(): Uint8Array {
    return this.bytes.slice(0, this.length)
  }
}
