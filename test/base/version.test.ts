import { describe, expect, test } from 'vitest'
import { compareVersions, isVersion } from '#base/version.js'

describe('a semantic version', () => {
  test.each(['0.0.0', '1.2.3', '10.20.30', '1.0.0-alpha', '1.0.0-alpha.1', '1.0.0-0.3.7', '1.0.0+20130313', '1.0.0-beta+exp.sha-5114f85'])(
    '%s is one',
    (text) => {
      expect(isVersion(text)).toBe(true)
    },
  )

  test.each(['', '1', '1.2', '1.2.3.4', 'v1.2.3', '01.2.3', '1.2.3-', '1.2.3-a..b', ' 1.2.3', '1.2.x', `1.0.0-${'a'.repeat(100)}`])(
    '%o is none',
    (text) => {
      expect(isVersion(text)).toBe(false)
    },
  )

  test('comes before those that its standard says it comes before', () => {
    const ascending = [
      ...[
        '0.0.0',
        '0.9.9',
        '1.0.0-alpha',
        '1.0.0-alpha.1',
        '1.0.0-alpha.beta',
        '1.0.0-beta',
        '1.0.0-beta.2',
        '1.0.0-beta.11',
        '1.0.0-rc.1',
      ],
      ...['1.0.0', '1.0.1', '1.2.0', '1.10.0', '2.0.0'],
    ]

    for (const [index, one] of ascending.entries()) {
      for (const [otherIndex, other] of ascending.entries())
        expect(Math.sign(compareVersions(one, other)), `${one} and ${other}`).toBe(Math.sign(index - otherIndex))
    }
  })

  test('has the same rank whatever it was built from', () => {
    expect(compareVersions('1.0.0+one', '1.0.0+other')).toBe(0)
  })
})
