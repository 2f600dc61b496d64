import { describe, expect, test } from 'vitest'
import type { Row } from '#journal/index.js'
import { topicOf } from '#targets/topic-template.js'

const row = (entity: string) => ({ entity, event: 'Sampled' }) as unknown as Row

describe('a topic with places', () => {
  test.each([
    ['plant/{entity}/{event}', 'press/press-1', 'plant/press/press-1/Sampled'],
    ['{type}/all/{name}', 'press/press-1', 'press/all/press-1'],
    ['fixed', 'press/press-1', 'fixed'],
    ['a/{name}', 'press/50% #1+', 'a/50%25 %231%2B'],
    ['a/{entity}', 'press/hall/3', 'a/press/hall/3'],
  ])('%s of %s is %s', (template, entity, topic) => {
    expect(topicOf(template)(row(entity))).toBe(topic)
  })

  test.each([
    ['plant/{what}', /place that is not known/],
    ['plant/#', /no \+ or #/],
    ['', /it is empty/],
  ])('%j is refused', (template, why) => {
    expect(() => topicOf(template)).toThrow(why)
  })
})
