import type { CommandAnswer } from '#ingest/command-request.js'
import { Device, type DeviceWorld } from './device.js'
import type { Answer, SentCommand } from './ledger.js'
import { Post } from './post.js'

const REQUESTS_MAX = 4
const COMMANDS_PER_REQUEST = 2

/**
 * Posts its commands over HTTP, several requests at a time and without waiting for the answers to those before; when one was not wholly taken it starts again
 * from its first unanswered command. Without numbers each command is a request of its own that is never sent again.
 */
export class HttpDevice extends Device {
  readonly #isNumbered: boolean
  readonly #posts = new Set<Post>()
  /** What is to be sent, in order, and how much of `sent` has come to be there. */
  #toPost: SentCommand[] = []
  #known = 0
  #isRefused = false
  #postCount = 0

  constructor(world: DeviceWorld, name: string, gateway: number, isNumbered: boolean) {
    super(world, name, gateway, isNumbered ? `http:${name}` : '')
    this.#isNumbered = isNumbered
  }

  override get isSettled(): boolean {
    return this.#isNumbered ? super.isSettled : this.#posts.size === 0 && this.#toPost.length === 0
  }

  pump(): void {
    for (const post of this.#posts) post.arrive()
    if (this.#isRefused && this.#posts.size > 0) return
    if (this.#isRefused) this.#startAgain()
    while (this.#known < this.sent.length) this.#toPost.push(this.sent[this.#known++] as SentCommand)
    while (this.#posts.size < REQUESTS_MAX && this.#toPost.length > 0 && this.world.plant.gateway(this.gateway) !== undefined) this.#post()
  }

  connect(gateway: number): void {
    this.gateway = gateway
    for (const post of this.#posts) post.cut()
    this.#posts.clear()
    if (this.#isNumbered) this.#startAgain()
    this.pump()
  }

  #startAgain(): void {
    this.#isRefused = false
    const first = this.sent.findIndex(({ answers }) => answers.length === 0)
    this.#toPost = first < 0 ? [] : this.sent.slice(first)
    this.#known = this.sent.length
  }

  #post(): void {
    const commands = this.#toPost.splice(0, this.#isNumbered ? COMMANDS_PER_REQUEST : 1)
    const headers = this.#isNumbered
      ? { 'millrace-source': this.source, 'millrace-sequence': String((commands[0] as SentCommand).sequence) }
      : {}
    const body = commands.map(({ id, entity, command }) => JSON.stringify({ entity, command, data: { id }, correlation: String(id) }))
    const post = new Post(headers, body.join('\n'), (answers, isWhole) => {
      if (!this.#posts.delete(post)) return
      answers.forEach((answer, index) => this.#tell(commands[index] as SentCommand, answer))
      if (isWhole) return
      // Without a number it may be sent again as long as nothing of it was taken.
      if (this.#isNumbered) this.#isRefused = true
      else this.#toPost.unshift(...commands)
    })
    this.#posts.add(post)
    this.world.plant.atGateway(this.gateway, ({ http }) => post.send(http))
    // Some bodies come a little behind their headers.
    if (this.#postCount++ % 3 !== 0) post.arrive()
  }

  #tell(sent: SentCommand, told: CommandAnswer): void {
    if (sent.answers.length === 0 || this.#isNumbered) this.told(sent, answerOf(told))
  }
}

function answerOf(answer: CommandAnswer): Answer {
  if (answer.ok === null) return { kind: 'forgotten' }
  if ('error' in answer) throw new Error(`a command failed: ${answer.error}`)
  const more = (answer.ok ? answer.reply : answer.detail) as { readonly chain?: number } | undefined
  return { kind: answer.ok ? 'done' : 'refused', version: answer.version, chain: more?.chain }
}
