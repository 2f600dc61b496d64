import { describe, expect, test } from 'vitest'
import { matchesFilter, wrongFilter, wrongTopic } from '#ingest/mqtt-topic.js'

describe('a topic filter', () => {
  test.each(['a', '/', 'a/b/c', '+', '#', 'a/+/c', 'a/#', '+/+', '/a', 'a//b', '$SYS/#', 'Fräse 1/°C'])('%s is right', (filter) => {
    expect(wrongFilter(filter)).toBeUndefined()
  })

  test.each(['', 'a#', 'a/#/b', '#/a', 'a+/b', '++', 'a\0b', '$share/group/a', 'a'.repeat(65_536)])('%j is wrong', (filter) => {
    expect(wrongFilter(filter)).toBeTypeOf('string')
  })

  test.each([
    ['a/b', 'a/b', true],
    ['a/b', 'a/+', true],
    ['a/b', '+/b', true],
    ['a/b', '#', true],
    ['a/b', 'a/#', true],
    ['a', 'a/#', true],
    ['a/b/c', 'a/#', true],
    ['a/b', 'a', false],
    ['a', 'a/b', false],
    ['a/b', 'a/c', false],
    ['a/b/c', 'a/+', false],
    ['a', 'a/+', false],
    ['a/', 'a/+', true],
    ['/a', '+/a', true],
    ['/a', 'a', false],
    ['$SYS/x', '#', false],
    ['$SYS/x', '+/x', false],
    ['$SYS/x', '$SYS/#', true],
  ])('of topic %s and filter %s matches: %s', (topic, filter, isMatch) => {
    expect(matchesFilter(topic, filter)).toBe(isMatch)
  })
})

describe('a topic to publish to', () => {
  test('has no wildcards', () => {
    expect(wrongTopic('factory-rejects')).toBeUndefined()
    expect(wrongTopic('factory/+')).toMatch(/no \+ or #/)
    expect(wrongTopic('factory/#')).toMatch(/no \+ or #/)
  })
})
