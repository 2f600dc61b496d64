import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, onTestFinished, test } from 'vitest'
import { predecessorPort, readGatewayDoors, writeGatewayDoors } from '#runtime/gateway-doors.js'

function dataDirectory(): string {
  const directory = mkdtempSync(join(tmpdir(), 'millrace-doors-'))
  onTestFinished(() => rmSync(directory, { recursive: true, force: true }))
  mkdirSync(join(directory, 'run'))
  return directory
}

describe('what a gateway says of its doors', () => {
  test('is read back, and its port is the one that a successor wants', () => {
    const directory = dataDirectory()

    writeGatewayDoors(directory, { http: 'http://127.0.0.1:8123' })

    expect(readGatewayDoors(directory)).toEqual({ http: 'http://127.0.0.1:8123' })
    expect(predecessorPort(directory)).toBe(8123)
  })

  test('is nothing where none has been', () => {
    const directory = dataDirectory()

    expect(readGatewayDoors(directory)).toBeUndefined()
    expect(predecessorPort(directory)).toBeUndefined()
  })

  test.each(['', '{"http":', '{"http":8080}', '{"http":"nowhere"}', 'null', '[]'])('is nothing when its file holds %j', (text) => {
    const directory = dataDirectory()
    writeFileSync(join(directory, 'run', 'gateway.json'), text)

    expect(readGatewayDoors(directory)).toBeUndefined()
    expect(predecessorPort(directory)).toBeUndefined()
  })
})
