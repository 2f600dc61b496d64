import { describe, expect, test } from 'vitest'
import { encodeManifestEntry, type ManifestEntry, manifestHash, readManifest, type SealedEntry } from '#journal/segments/manifest.js'
import { planOpening } from '#journal/segments/opening-plan.js'

function sealed(firstPosition: number, endPosition: number): SealedEntry {
  const segment = `${String(firstPosition).padStart(12, '0')}.segment`
  const hashes = { previousHash: '00', lastHash: '11', rowsHash: '22', fileHash: '33' }
  return { kind: 'sealed', segment, firstPosition, endPosition, ...hashes, bytes: 100, acceptedMax: 5 }
}

function dropped({ segment, firstPosition, endPosition }: SealedEntry): ManifestEntry {
  return { kind: 'dropped', segment, firstPosition, endPosition }
}

const A = sealed(0, 40)
const B = sealed(40, 90)
const REPAIRED: SealedEntry = { ...A, segment: '000000000000.1.segment', rowsHash: '44', fileHash: '55' }
const FENCED: ManifestEntry = {
  kind: 'fenced',
  segment: REPAIRED.segment,
  block: 3,
  firstPosition: 3,
  endPosition: 8,
  rowCount: 2,
  entities: [{ entity: 'press/a', from: 1, to: 2 }],
  replacement: REPAIRED,
}

describe('what a log directory comes to', () => {
  test.each([
    ['nothing', [], [], { sealed: [], unsealed: [], remove: [], missing: [], firstPosition: 0, endOfSealed: 0 }],
    ['one segment', ['000000000000.active'], [], { unsealed: ['000000000000.active'], remove: [], missing: [] }],
    [
      'a segment that waits to be sealed',
      ['000000000040.active', '000000000000.active'],
      [],
      { unsealed: ['000000000000.active', '000000000040.active'], remove: [], missing: [] },
    ],
    [
      'a draft',
      ['000000000000.active', '000000000000.segment.new', '000000000040.active', '000000000040.active.new'],
      [],
      { unsealed: ['000000000000.active', '000000000040.active'], remove: ['000000000000.segment.new', '000000000040.active.new'] },
    ],
    [
      'a file that the manifest does not have yet',
      ['000000000000.active', '000000000000.segment', '000000000040.active'],
      [],
      { sealed: [], unsealed: ['000000000000.active', '000000000040.active'], remove: ['000000000000.segment'], missing: [] },
    ],
    [
      'an environment that was sealed',
      ['000000000000.active', '000000000000.segment', '000000000040.active'],
      [A],
      { sealed: [A], unsealed: ['000000000040.active'], remove: ['000000000000.active'], missing: [], endOfSealed: 40 },
    ],
    [
      'a segment that was sealed before an older one',
      ['000000000000.active', '000000000040.segment', '000000000090.active'],
      [B],
      { sealed: [B], unsealed: ['000000000000.active', '000000000090.active'], remove: [], missing: [] },
    ],
    [
      'a file that was dropped',
      ['000000000000.segment', '000000000040.segment', '000000000090.active'],
      [A, B, dropped(A)],
      { sealed: [B], unsealed: ['000000000090.active'], remove: ['000000000000.segment'], missing: [], firstPosition: 40 },
    ],
    [
      'a file that repair wrote anew, and the damaged one',
      ['000000000000.1.segment', '000000000000.segment', '000000000040.segment', '000000000090.active'],
      [A, B, FENCED],
      { sealed: [REPAIRED, B], remove: ['000000000000.segment'], missing: [] },
    ],
    [
      'a file that repair wrote, and the manifest does not have yet',
      ['000000000000.1.segment', '000000000000.1.segment.new', '000000000000.segment', '000000000040.active'],
      [A],
      { sealed: [A], remove: ['000000000000.1.segment', '000000000000.1.segment.new'], missing: [] },
    ],
    [
      'a file that repair wrote anew, dropped',
      ['000000000000.segment', '000000000040.segment', '000000000090.active'],
      [A, B, FENCED, dropped(REPAIRED)],
      { sealed: [B], remove: ['000000000000.segment'], missing: [], firstPosition: 40 },
    ],
    ['all of it dropped', ['000000000040.active'], [A, dropped(A)], { sealed: [], firstPosition: 40, endOfSealed: 40, missing: [] }],
    ['a sealed file that is gone', ['000000000040.active'], [A], { missing: ['000000000000.segment'] }],
    ['an environment that is gone', ['000000000040.segment', '000000000090.active'], [B], { missing: ['000000000000.active'] }],
    ['a gap behind the sealed ones', ['000000000000.segment', '000000000090.active'], [A], { missing: ['000000000040.active'] }],
    ['something else', ['notes.txt', '000000000000.active'], [], { unsealed: ['000000000000.active'], remove: [] }],
  ])('with %s', (_, names, entries, expected) => {
    expect(planOpening(names, entries)).toMatchObject(expected)
  })
})

describe('a manifest', () => {
  const stored = (entries: readonly ManifestEntry[]) => {
    let previous: Uint8Array = new Uint8Array(32)
    return entries.map((entry) => {
      const bytes = encodeManifestEntry(entry, previous)
      previous = manifestHash(bytes)
      return bytes
    })
  }

  test('comes back as it was written', () => {
    const bytes = stored([A, B, dropped(A)])

    const { entries, lastHash } = readManifest(bytes)

    expect(entries).toEqual([A, B, dropped(A)])
    expect(lastHash).toEqual(manifestHash(bytes[2] as Uint8Array))
  })

  test.each([
    ['lost an entry', (all: Uint8Array[]) => all.filter((_, index) => index !== 1)],
    ['lost its first entry', (all: Uint8Array[]) => all.slice(1)],
    ['has entries in another order', (all: Uint8Array[]) => [all[1], all[0], all[2]] as Uint8Array[]],
    ['has an entry changed', (all: Uint8Array[]) => [encodeManifestEntry(sealed(0, 41), new Uint8Array(32)), ...all.slice(1)]],
    ['is cut', (all: Uint8Array[]) => [(all[0] as Uint8Array).slice(0, 30)]],
  ])('that %s is found damaged', (_, change) => {
    expect(() => readManifest(change(stored([A, B, dropped(A)])))).toThrowError(/manifest does not continue/)
  })
})
