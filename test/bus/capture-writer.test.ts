import { mkdtempSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { CaptureReader } from '#bus/capture-reader.js'
import { CaptureWriter } from '#bus/capture-writer.js'

const CAPACITY_BYTES = 2 ** 20
const HEADER = { channel: 'c', capacityBytes: CAPACITY_BYTES, schemaHash: 1, hasChecksums: false, startMicros: 1, startMachineMs: 2 }
const FRAME_BYTES = CAPACITY_BYTES / 4

let directory: string

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'millrace-test-'))
})

afterEach(() => {
  rmSync(directory, { recursive: true, force: true })
})

/** Puts a frame that fills its quarter of the ring where there is room; false when there is none. */
function putFrame(writer: CaptureWriter, number: number): boolean {
  const room = writer.room()
  if (room === undefined) return false
  const words = new Int32Array(room.buffer, room.byteOffset, 3)
  words.set([FRAME_BYTES - 8, 1, number])
  writer.frames(FRAME_BYTES, 1, number * FRAME_BYTES, number)
  return true
}

async function numbersIn(path: string): Promise<number[]> {
  const reader = await CaptureReader.open(path)
  const numbers: number[] = []
  for await (const item of reader.items()) {
    if (item.kind !== 'frames') continue
    while (item.frames.next() === 'frame')
      numbers.push(new Int32Array(item.bytes.buffer, item.bytes.byteOffset + item.frames.offset, 1)[0] ?? -1)
  }
  expect(reader.isTruncated).toBe(false)
  await reader.close()
  return numbers
}

describe('a capture whose disk is slower than its channel', () => {
  test('has no room while 32 MiB wait, has some once the disk has taken something, and loses nothing', async () => {
    const path = join(directory, 'capture')
    const writer = await CaptureWriter.create(path, HEADER, CAPACITY_BYTES)
    let number = 0

    for (let round = 0; round < 3; round++) {
      // The disk gets no turn in between.
      while (putFrame(writer, number)) number++
      expect(number * FRAME_BYTES).toBeGreaterThanOrEqual(16 * 2 ** 20)
      expect(writer.byteCount - statSync(path).size).toBeLessThanOrEqual(32 * 2 ** 20)
      await writer.written()
    }
    await writer.close(number * FRAME_BYTES, 9)

    expect(await numbersIn(path)).toEqual(Array.from({ length: number }, (_, index) => index))
    expect(statSync(path).size).toBe(writer.byteCount)
  })

  test('still takes a gap and the header of a larger channel, which may follow', async () => {
    const path = join(directory, 'capture')
    const writer = await CaptureWriter.create(path, { ...HEADER, capacityBytes: CAPACITY_BYTES }, CAPACITY_BYTES)
    let number = 0
    while (putFrame(writer, number)) number++

    writer.gap(800, number * FRAME_BYTES, 5)
    writer.anew({ ...HEADER, capacityBytes: 4 * CAPACITY_BYTES }, 0, 6, 4 * CAPACITY_BYTES)
    for (let room = writer.room(); room === undefined; room = writer.room()) await writer.written()
    expect(writer.room()?.length).toBeGreaterThanOrEqual(4 * CAPACITY_BYTES)
    await writer.close(0, 7)

    const reader = await CaptureReader.open(path)
    const kinds: string[] = []
    for await (const item of reader.items()) if (item.kind !== 'frames') kinds.push(item.kind)
    await reader.close()
    expect(kinds).toEqual(['gap', 'anew', 'end'])
  })
})
