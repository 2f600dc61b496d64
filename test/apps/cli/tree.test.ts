import { describe, expect, test } from 'vitest'
import type { KinNode } from '#reading/kin-tree.js'
import { treeLines } from '../../../apps/cli/tree.js'

function node(entity: string, more: Partial<KinNode> = {}): KinNode {
  return { entity, phase: 'running', incarnation: 1, restarts: 0, error: null, watches: [], children: [], ...more }
}

describe('the tree of a plant as text', () => {
  test('has a line for each entity, below its parent, with what a person should know of it', () => {
    const error = { code: 'DECIDE_FAILED', message: `a long\nstory ${'x'.repeat(100)}`, at: 1_767_225_600_000_000 }
    const cell = node('cell/north', {
      restarts: 1,
      children: [node('press/one', { phase: 'waiting', restarts: 2, error }), node('press/two', { phase: 'stopped' })],
    })
    const roots = [node('board/hall', { watches: ['press/one', 'press/two'] }), node('line/a', { children: [cell, node('cell/south')] })]

    expect([...treeLines(roots, (color, text) => (color === 'green' ? text : `${color}:${text}`))]).toEqual([
      'board/hall  running, watches press/one, press/two',
      'line/a  running',
      '├─ cell/north  running, restarted once',
      `│  ├─ press/one  yellow:waiting, restarted 2 times, DECIDE_FAILED at 2026-01-01T00:00:00.000Z: a long story ${'x'.repeat(67)}…`,
      '│  └─ press/two  red:stopped',
      '└─ cell/south  running',
    ])
  })
})
