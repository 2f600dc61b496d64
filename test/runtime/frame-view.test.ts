import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { exactJson } from '#base/exact-json.js'
import { pack } from '#base/pack.js'
import { ANSWER_HEADER_BYTES, ANSWER_REFUSED, writeAnswer } from '#entity/answer-frame.js'
import { FrameViewer } from '#runtime/frame-view.js'

function answerOf(kind: number, outcome: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(ANSWER_HEADER_BYTES + outcome.length)
  writeAnswer(7, 3, 12, kind, outcome, bytes, new DataView(bytes.buffer), 0)
  return bytes
}

describe('a frame that is shown to people', () => {
  test('is told by its channel and its type', () => {
    const bytes = answerOf(ANSWER_REFUSED, pack(['NEGATIVE', { n: -1 }]))

    expect(new FrameViewer('answers-w0-g0', undefined, []).view(bytes, 1)).toEqual({
      kind: 'answer',
      answer: 'refused',
      version: 12,
      outcome: ['NEGATIVE', { n: -1 }],
      request: 7,
      doorTerm: 3,
    })
    expect(new FrameViewer('readings', undefined, []).view(bytes, 1)).toMatchObject({ kind: 'bytes' })
    expect(new FrameViewer('answers-w0-g0', undefined, []).view(bytes, 9)).toMatchObject({ kind: 'bytes' })
  })

  test('is shown as bytes when it makes no sense, whatever is in it', () => {
    const channel = fc.constantFrom('commands-g0-w0', 'answers-w0-g0', 'appends-w0', 'bulk-w0')
    const bytes = fc.uint8Array({ maxLength: 300 })

    fc.assert(
      fc.property(channel, bytes, fc.integer({ min: 0, max: 3 }), (name, payload, type) => {
        expect(JSON.parse(exactJson(new FrameViewer(name, undefined, []).view(payload, type)))).toHaveProperty('kind')
      }),
      { numRuns: 2000 },
    )
  })
})
