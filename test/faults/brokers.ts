import { type ChildProcess, spawn } from 'node:child_process'
import { existsSync, writeFileSync } from 'node:fs'
import { type AddressInfo, connect, createServer } from 'node:net'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { onTestFinished } from 'vitest'

export const MOSQUITTO = '/usr/sbin/mosquitto'
const AEDES = fileURLToPath(new URL('./children/aedes-broker.mjs', import.meta.url))
const READY_WITHIN_MS = 60_000

/** Undefined when the real server is there; under CI its absence is a failure of the set-up. */
export function missingMosquitto(): string | undefined {
  if (existsSync(MOSQUITTO)) return undefined
  if (process.env['CI'] === 'true') throw new Error(`${MOSQUITTO} is missing: apt-get install mosquitto`)
  return `${MOSQUITTO} is not here: apt-get install mosquitto`
}

/** aedes in a process of its own; its URL. */
export async function startAedes(): Promise<string> {
  const child = spawn(process.execPath, [AEDES], { stdio: ['pipe', 'pipe', 'inherit'] })
  endWithTest(child)
  for await (const line of createInterface({ input: child.stdout })) return `mqtt://127.0.0.1:${line}`
  throw new Error('aedes ended before it listened')
}

/** The real thing: sessions and messages on disk, no limit on what it keeps. Its URL. */
export async function startMosquitto(directory: string, lines: readonly string[] = ['allow_anonymous true']): Promise<string> {
  const port = await freePort()
  const config = join(directory, 'mosquitto.conf')
  const persistence = ['persistence true', `persistence_location ${directory}/`, 'autosave_interval 1', 'max_queued_messages 0']
  writeFileSync(config, [`listener ${port} 127.0.0.1`, ...persistence, ...lines, ''].join('\n'))
  // As root it would change to a user of its own, which may not write here.
  const user = process.getuid?.() === 0 ? 'root' : undefined
  if (user !== undefined) writeFileSync(config, `user ${user}\n`, { flag: 'a' })
  endWithTest(spawn(MOSQUITTO, ['-c', config], { stdio: ['ignore', 'ignore', 'ignore'] }))
  const deadline = performance.now() + READY_WITHIN_MS
  while (!(await accepts(port))) if (performance.now() > deadline) throw new Error('mosquitto does not listen')
  return `mqtt://127.0.0.1:${port}`
}

function endWithTest(child: ChildProcess): void {
  const ended = new Promise((resolve) => child.once('exit', resolve))
  onTestFinished(async () => {
    child.kill('SIGKILL')
    await ended
  })
}

export async function freePort(): Promise<number> {
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  await new Promise((resolve) => server.close(resolve))
  return port
}

export function accepts(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1')
    const answer = (isThere: boolean) => {
      socket.destroy()
      setTimeout(() => resolve(isThere), isThere ? 0 : 20)
    }
    socket.once('connect', () => answer(true))
    socket.once('error', () => answer(false))
  })
}
