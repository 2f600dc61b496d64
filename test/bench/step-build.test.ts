import { describe, expect, test } from 'vitest'
import { FAULT_END } from '../../bench/harness/fault-end.js'
import { createStepBuild, instrument, type StepSite } from '../../bench/harness/step-build.js'

function stepped(text: string): { readonly text: string; readonly stores: readonly string[] } {
  const sites: StepSite[] = []
  const changed = instrument(text, 'file', sites)
  return { text: changed.split('\n').slice(1).join('\n'), stores: sites.map((site) => site.text) }
}

describe('the step build of the bus', () => {
  test('has a site behind the stores that matter, found in the compiled code', () => {
    const build = createStepBuild(FAULT_END)
    build.remove()
    const sites = build.sites.map(({ file, within, text }) => `${file}.${within}: ${text}`).join('\n')

    for (const known of [
      /^header\.createChannel: Atomics\.store\(words, layout\.MAGIC_WORD, layout\.MAGIC\);$/m,
      /^header\.attach: Atomics\.store\(words, end \+ layout\.PID, holder\.pid\);$/m,
      /^header\.attach: new Float64Array\(.*holder\.startTime;$/m,
      /^header\.fenceChannel: Atomics\.or\(words, layout\.PUBLISHED_WORD/m,
      /^peer\.storePosition: words\[word\] = position;$/m,
      /^peer\.storePosition: Atomics\.store\(words, word, position\);$/m,
      /^peer\.ringIfParked: .*Atomics\.compareExchange\(peer\.words/m,
      /^producer\.increment: words\[word\] = /m,
      /^producer\..*TAP_STATE_WORD/m,
      /^consumer\..*READ_WORD/m,
      /^consumer\..*RELEASED_CHECK_WORD/m,
      /^waiting\..*Atomics\.store\(this\.#parkedWords/m,
    ]) {
      expect(sites).toMatch(known)
    }
    expect(build.sites.map(({ site }) => site)).toEqual(build.sites.map((_, index) => index))
  })

  test.each([
    ['Atomics.store(words, 1, 2);', 'millraceAtomics.store(0, words, 1, 2);'],
    ['if (Atomics.exchange(a.b, c, 0) === 0)', 'if (millraceAtomics.exchange(0, a.b, c, 0) === 0)'],
    ['words[LAPS] = (words[LAPS] + 1) | 0;', 'words[LAPS] = (words[LAPS] + 1) | 0, millraceStep(0);'],
    ['if (x) words[word + 1] = type;', 'if (x) words[word + 1] = type, millraceStep(0);'],
    ['new Float64Array(b)[(end + 2) / 2] = time;', 'new Float64Array(b)[(end + 2) / 2] = time, millraceStep(0);'],
    ['bits[index >> 3] |= 1;', 'bits[index >> 3] |= 1, millraceStep(0);'],
    ['bytes.set(name, 28);', 'bytes.set(name, 28), millraceStep(0);'],
    ['this.view.setInt32(offset, id, true);', 'this.view.setInt32(offset, id, true), millraceStep(0);'],
  ])('steps behind: %s', (line, changed) => {
    expect(stepped(line)).toEqual({ text: changed, stores: [line] })
  })

  test.each([
    'const [own, other] = [1, 2];',
    'if (words[word] === 1)',
    'const before = Atomics.load(words, 1);',
    '// words[word] = 1;',
    'const handlers = [(x) => x];',
  ])('leaves alone: %s', (line) => {
    const sites: StepSite[] = []

    expect(instrument(line, 'file', sites)).toBe(line)
    expect(sites).toEqual([])
  })

  test('refuses a store that it cannot put a step behind', () => {
    expect(() => stepped('words[word] = first +')).toThrow(/does not end with its line/)
  })
})
