import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { Broker } from '../../ingest/broker.js'
import { temporaryDirectory } from '../../ingest/data.js'
import { sample, topicOf } from '../../ingest/mqtt-under-test.js'
import { writePressPlant } from '../../ingest/press-plant.js'
import { runCli, runCliHere } from './run-cli.js'

interface Place {
  readonly directory: string
  /** Of every command. */
  readonly common: readonly string[]
}

/** Of the plants that the command starts. */
const ENV = { MILLRACE_WORKERS__COUNT: '1' }

function place(broker: Broker): Place {
  const directory = temporaryDirectory()
  const plant = writePressPlant(directory)
  const map = join(directory, 'press.map.yaml')
  const common = [
    'ingest',
    'mqtt',
    broker.url,
    '--topic',
    'factory/+/sample',
    '--map',
    map,
    '--data',
    join(directory, 'data'),
    '--plant',
    plant,
    '--json',
  ]
  return { directory, common }
}

/** Publishes as soon as somebody listens, as devices do. */
async function publishOnceHeard(broker: Broker, messages: readonly string[]): Promise<void> {
  await new Promise<void>((resolve) => broker.aedes.once('subscribe', () => resolve()))
  const publisher = await broker.publisher()
  for (const message of messages) await publisher.publishAsync(topicOf('p1'), message, { qos: 1 })
}

describe('millrace ingest mqtt', () => {
  test('takes so many messages, starts the plant for it, and leaves the rest to the next run', async () => {
    const broker = await Broker.start()
    const { directory, common } = place(broker)
    const messages = [...[1, 2, 3].map((seq) => sample(seq)), 'garbage', sample(4, { temperature: 2000 }), sample(5), sample(6)]

    const [first] = await Promise.all([runCli([...common, '--count', '5'], { env: ENV }), publishOnceHeard(broker, messages)])
    const second = await runCli([...common, '--count', '2'], { env: ENV })
    const query = await runCli(['query', '--data', join(directory, 'data'), '--entity', 'press/p1', '--json'])

    expect(first.stderr).not.toContain('error')
    expect(first).toMatchObject({ code: 0 })
    const summary = JSON.parse(first.stdout) as { rejectsTo: string }
    expect(summary).toEqual({ received: 5, accepted: 3, rejected: 2, durable: 3, rejectsTo: expect.any(String) as string })
    expect(
      readFileSync(summary.rejectsTo, 'utf8')
        .trimEnd()
        .split('\n')
        .map((line) => (JSON.parse(line) as { kind: string }).kind),
    ).toEqual(['malformed', 'refused'])
    expect(JSON.parse(second.stdout)).toEqual({ received: 2, accepted: 2, rejected: 0, durable: 2 })
    expect(
      query.stdout
        .trimEnd()
        .split('\n')
        .map((line) => (JSON.parse(line) as { data: { number: number } }).data.number),
    ).toEqual([1, 2, 3, 5, 6])
  })

  test('ends after so many seconds, and says what came', async () => {
    const broker = await Broker.start()
    const { common } = place(broker)

    const [result] = await Promise.all([runCli([...common, '--seconds', '2'], { env: ENV }), publishOnceHeard(broker, [sample(1)])])

    expect(result).toMatchObject({ code: 0 })
    expect(JSON.parse(result.stdout)).toEqual({ received: 1, accepted: 1, rejected: 0, durable: 1 })
  })

  test('says at once that the password is wrong, and never prints it', async () => {
    const broker = await Broker.start({
      authenticate: (_client, username, password, done) => done(null, username === 'press' && password?.toString() === 'right'),
    })
    const { directory, common } = place(broker)
    const file = join(directory, 'password')

    writeFileSync(file, 'secret-but-wrong\n')
    const wrong = await runCli([...common, '--username', 'press', '--password-file', file], { env: ENV })
    writeFileSync(file, 'right\n')
    const right = await runCli([...common, '--username', 'press', '--password-file', file, '--seconds', '1'], { env: ENV })

    expect(wrong.code).toBe(1)
    expect(JSON.parse(wrong.stdout)).toMatchObject({
      error: { code: 'ERR_MQTT_BROKER', message: expect.stringContaining('does not let this client in') as string },
    })
    expect(wrong.stdout + wrong.stderr).not.toContain('secret-but-wrong')
    expect(right).toMatchObject({ code: 0 })
  })

  test.each([
    ['no topic', ['ingest', 'mqtt', 'mqtt://localhost', '--map', 'x.yaml'], '--topic'],
    ['no map', ['ingest', 'mqtt', 'mqtt://localhost', '--topic', 't'], '--map'],
  ])('asked with %s is a question asked wrongly', async (_name, args, missing) => {
    const result = await runCliHere(args)

    expect(result.code).toBe(2)
    expect(result.stderr).toContain(missing)
  })
})
