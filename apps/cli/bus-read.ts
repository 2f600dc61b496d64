import { exactJson } from '#base/exact-json.js'
import { isMillraceError } from '#base/errors.js'
import { type CaptureHeader, type CaptureItem, CaptureReader } from '#bus/index.js'
import { PlantModel } from '#entity/index.js'
import type { EventType } from '#journal/index.js'
import { FrameViewer, type FrameView } from '#runtime/frame-view.js'
import { JournalAccess } from '#runtime/journal-access.js'
import { importPlant } from '#runtime/plant-module.js'
import { plantFileOf } from '#runtime/plant-session.js'
import type { Options } from './command.js'
import { numberOption } from './number-option.js'
import type { Output } from './output.js'
import { dataDirectoryOf, placeOf } from './place.js'
import { onInterrupt } from './signals.js'

/** Prints a capture: a line for each frame and each gap, or with `--json` a JSON object a line. Exit code 1 when it stops before its end. */
export async function readCapture(path: string, options: Options, output: Output): Promise<number> {
  const limit = numberOption(options, 'limit') ?? Number.POSITIVE_INFINITY
  const reader = await CaptureReader.open(path)
  let isOver = false
  onInterrupt(() => (isOver = true))
  try {
    const { header } = reader
    const viewer = new FrameViewer(header.channel, await plantOf(header, options, output), await eventTypesFor(header, options, output))
    const printer = new Printer(viewer, limit, output)
    printer.header(header)
    for await (const item of reader.items()) {
      if (!printer.item(item)) await output.drained()
      if (isOver || printer.isFull) return 0
    }
    if (!reader.isTruncated) return 0
    output.note(
      `${path} stops before its end, at ${reader.offset} of ${reader.byteCount} bytes: whoever wrote it was killed, or writes still`,
    )
    return 1
  } finally {
    await reader.close()
  }
}

/** The plant that the channel was made for, when it is within reach: without it the data of commands stays hexadecimal. */
async function plantOf({ schemaHash, channel }: CaptureHeader, options: Options, output: Output): Promise<PlantModel | undefined> {
  if (!channel.startsWith('commands-')) return undefined
  try {
    const plant = new PlantModel((await importPlant(plantFileOf(placeOf(options)))).entities)
    if (plant.schemaHash === schemaHash) return plant
    output.note('the capture is of a plant with another schema: data is shown as bytes')
  } catch (error) {
    if (!isMillraceError(error)) throw error
    if (!isMillraceError(error, 'ERR_NO_PLANT') || options['plant'] !== undefined) throw error
    output.note('no plant module is known here: data is shown as bytes; name it with --plant')
  }
  return undefined
}

/** The events that the journal knows by number, when there is one: without it the data of appended events stays hexadecimal. */
async function eventTypesFor({ channel }: CaptureHeader, options: Options, output: Output): Promise<readonly EventType[]> {
  if (!channel.startsWith('appends-')) return []
  let access: JournalAccess | undefined
  try {
    access = await JournalAccess.open(dataDirectoryOf(options))
    return await access.eventTypes()
  } catch (error) {
    if (!isMillraceError(error, 'ERR_NO_JOURNAL')) throw error
    output.note('there is no log here: data is shown as bytes; name its data directory with --data')
    return []
  } finally {
    await access?.close()
  }
}

class Printer {
  readonly #viewer: FrameViewer
  readonly #limit: number
  readonly #output: Output
  #count = 0

  constructor(viewer: FrameViewer, limit: number, output: Output) {
    this.#viewer = viewer
    this.#limit = limit
    this.#output = output
  }

  get isFull(): boolean {
    return this.#count >= this.#limit
  }

  header({ channel, capacityBytes, startMicros, schemaHash, hasChecksums }: CaptureHeader): void {
    if (this.#output.isJson) this.#output.json({ kind: 'header', channel, capacityBytes, schemaHash, hasChecksums, start: startMicros })
    else this.#output.note(`${channel}, a ring of ${capacityBytes.toLocaleString('en-US')} bytes, captured from ${isoTime(startMicros)} on`)
  }

  /** False when the reader of the output is behind. */
  item(item: CaptureItem): boolean {
    if (item.kind === 'frames') return this.#frames(item)
    if (this.#output.isJson) {
      if (item.kind !== 'anew') return this.#output.json({ time: item.micros, ...rest(item) })
      const { channel, capacityBytes, schemaHash } = item.header
      return this.#output.json({ time: item.micros, kind: 'anew', position: item.position, channel, capacityBytes, schemaHash })
    }
    if (item.kind === 'gap') return this.#mark(item, `a gap of ${item.lostBytes.toLocaleString('en-US')} bytes: the lease had run out`)
    if (item.kind === 'anew') return this.#mark(item, 'the channel was made anew')
    return true
  }

  #frames({ micros, position, bytes, frames }: Extract<CaptureItem, { kind: 'frames' }>): boolean {
    let isTaken = true
    while (!this.isFull && frames.next() === 'frame') {
      const view = this.#viewer.view(bytes.subarray(frames.offset, frames.offset + frames.length), frames.type)
      const place = { time: micros, position: position + frames.startOffset, type: frames.type, length: frames.length }
      this.#count++
      isTaken = this.#output.isJson
        ? this.#output.line(exactJson({ ...place, ...view }))
        : this.#output.line(
            `${isoTime(micros)}  ${String(place.position).padStart(10)}  type ${place.type}  ${String(place.length).padStart(4)} bytes  ${describe(view)}`,
          )
    }
    return isTaken
  }

  #mark(item: CaptureItem, text: string): boolean {
    return this.#output.line(this.#output.tone('yellow', `${isoTime(item.micros)}  ${String(item.position).padStart(10)}  ${text}`))
  }
}

function rest(item: Exclude<CaptureItem, { kind: 'frames' | 'anew' }>): object {
  const { micros: _time, ...fields } = item
  return fields
}

function describe({ kind, ...fields }: FrameView): string {
  const { payload, entity, command, answer, ...others } = fields
  if (kind === 'bytes') return String(payload)
  const head = [kind, command ?? answer, entity].flatMap((part) => (part === undefined ? [] : [String(part as string | number)])).join(' ')
  const tail = Object.entries({ ...others, ...(payload === undefined ? {} : { payload }) })
  return `${head}  ${tail.flatMap(([name, value]) => (value === undefined ? [] : [`${name}=${typeof value === 'string' ? value : exactJson(value)}`])).join(' ')}`
}

function isoTime(micros: number): string {
  return `${new Date(micros / 1000).toISOString().slice(0, -1)}${String(Math.floor(micros % 1000)).padStart(3, '0')}Z`
}
