import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { packageRoot } from '#runtime/package-root.js'
import { HTTP_LIMITS } from '#ingest/http-limits.js'
import { UpPlant } from './up-plant.js'

const page = readFileSync(join(packageRoot(), 'docs', 'http.md'), 'utf8')

/** Each shell block with the output that the page shows behind it. */
const examples = [...page.matchAll(/^```sh\n([\s\S]*?)^```\n\n```json\n([\s\S]*?)^```$/gm)].map((match) => {
  return { line: page.slice(0, match.index).split('\n').length, command: match[1] ?? '', output: match[2] ?? '' }
})

describe('the page about HTTP', () => {
  let plant: UpPlant

  beforeAll(async () => {
    plant = await new UpPlant({ plantFile: join(packageRoot(), 'examples', 'press', 'plant.js') }).ready()
  })

  afterAll(() => plant.remove())

  const isThere = spawnSync('curl', ['--version']).status === 0
  test.skipIf(!isThere).each(examples)(
    `shows at line $line what its command prints${isThere ? '' : ' (there is no curl)'}`,
    ({ command, output }) => {
      const shell = spawnSync('sh', ['-c', command.replaceAll('http://127.0.0.1:8080', plant.url)], { encoding: 'utf8' })

      expect(shell).toMatchObject({ stdout: output, stderr: '', status: 0 })
    },
  )

  test('shows no shell command without its output', () => {
    expect(examples).toHaveLength(page.match(/^```sh$/gm)?.length ?? 0)
    expect(examples.length).toBeGreaterThan(3)
  })

  test('says the limits that hold', () => {
    const limits = HTTP_LIMITS

    expect(page).toContain(`headers took over ${limits.headersMs / 1000} s, or the request ${limits.requestMs / 1000} s`)
    expect(page).toContain(`of all requests together ${limits.bodiesBytesMax >> 20} MiB`)
    expect(page).toContain(`| requests under way on one connection | ${limits.pipelinedMax} |`)
    expect(page).toContain(`| idle connection | ${limits.keepAliveMs / 1000} s |`)
    expect(page).toContain(`| client that does not read its answer | ${limits.answerMs / 1000} s |`)
    expect(limits.roomMs).toBe(1000)
  })
})
