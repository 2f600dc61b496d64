import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { gunzipSync } from 'node:zlib'
import { hash32 } from '#base/hash.js'
import { packageRoot } from '#runtime/package-root.js'
import { bool, f64, type Fields, fieldSchemas, i32, label } from '#schema/index.js'
import { okuma } from './size-okuma.js'
import { Intake, type SizeData, type SizeType } from './size-rows.js'

/** Public data sets, each with the entity types that the example maps give it. */
export const SIZE_DATA: Readonly<Record<string, (folder: string) => SizeData>> = {
  skab,
  'nab-machine-temperature': nab,
  'hydraulic-rig': hydraulic,
  'cnc-mill': cncMill,
  'okuma-mtconnect': (folder) => okuma(readFileSync(join(folder, 'okuma.shdr.txt'), 'utf8')),
}

/** Reads a data set; a string says why it cannot. */
export function loadSizeData(name: string): SizeData | string {
  const folder = join(packageRoot(), '..', 'shared', 'data', name)
  const load = SIZE_DATA[name]
  if (load === undefined) return `there is no data set ${name}`
  return existsSync(folder) ? load(folder) : `there is no folder ${folder}`
}

const SKAB: readonly (readonly [field: string, column: string])[] = [
  ['accelerometer1', 'Accelerometer1RMS'],
  ['accelerometer2', 'Accelerometer2RMS'],
  ['current', 'Current'],
  ['pressure', 'Pressure'],
  ['temperature', 'Temperature'],
  ['thermocouple', 'Thermocouple'],
  ['voltage', 'Voltage'],
  ['flow', 'Volume Flow RateRMS'],
  ['anomaly', 'anomaly'],
  ['changepoint', 'changepoint'],
]

function skab(folder: string): SizeData {
  const optional = new Set(['anomaly', 'changepoint'])
  const fields = Object.fromEntries(SKAB.map(([field]) => [field, f64(optional.has(field) ? { optional: true } : {})]))
  const sampled = typeOf('water-pump', 'Sampled', fields)
  const intake = new Intake('skab')
  let samples = 0
  for (const path of filesOf(folder, '.csv')) {
    const { header, rows, source } = csv(path, ';')
    const columns = SKAB.map(([field, column]) => [field, header.indexOf(column)] as const).filter(([, column]) => column >= 0)
    for (const cells of rows) {
      const at = Date.parse(`${(cells[0] as string).replace(' ', 'T')}+03:00`) * 1000
      intake.take(`water-pump/${basename(dirname(path))}-${basename(path, '.csv')}`, sampled, at, source, numbers(cells, columns))
      samples += columns.length
    }
  }
  return { name: 'skab', types: [sampled], rows: intake.rows, samples }
}

function nab(folder: string): SizeData {
  const sampled = typeOf('thermometer', 'Sampled', { temperature: f64('°F') })
  const intake = new Intake('nab')
  const { rows, source } = csv(join(folder, 'machine_temperature_system_failure.csv'), ',')
  for (const [time, value] of rows) {
    const at = Date.parse(`${(time as string).replace(' ', 'T')}Z`) * 1000
    intake.take('thermometer/machine_temperature_system_failure', sampled, at, source, { temperature: Number(value) })
  }
  return { name: 'nab-machine-temperature', types: [sampled], rows: intake.rows, samples: intake.rows.length }
}

const HYDRAULIC = ['TS1', 'TS2', 'TS3', 'TS4', 'VS1', 'CE', 'CP', 'SE']
const SAMPLES_PER_CYCLE = 60

/** A sample a second of all channels, and behind each cycle of a minute the condition of the rig in it. */
function hydraulic(folder: string): SizeData {
  const sampled = typeOf('hydraulic-rig', 'Sampled', Object.fromEntries(HYDRAULIC.map((name) => [name.toLowerCase(), f64()])))
  const condition = { cooler: i32('%'), valve: i32('%'), pumpLeakage: i32(), accumulator: i32('bar'), isStable: bool() }
  const rated = typeOf('hydraulic-rig', 'CycleRated', condition)
  const channels = HYDRAULIC.map((name) => tabbed(gunzipSync(readFileSync(join(folder, `${name}.txt.gz`))).toString()))
  const profile = tabbed(readFileSync(join(folder, 'profile.txt'), 'utf8'))
  const intake = new Intake('hydraulic')
  const begun = Date.UTC(2015, 0, 5, 6) * 1000
  const source = `csv-${hash32(Buffer.from(folder)).toString(16)}`
  for (const [cycle, [cooler, valve, pumpLeakage, accumulator, notStable]] of profile.entries()) {
    const start = begun + cycle * SAMPLES_PER_CYCLE * 1_000_000
    for (let second = 0; second < SAMPLES_PER_CYCLE; second++) {
      const data = Object.fromEntries(HYDRAULIC.map((name, index) => [name.toLowerCase(), channels[index]?.[cycle]?.[second] as number]))
      intake.take('hydraulic-rig/zema', sampled, start + second * 1_000_000, source, data)
    }
    const data = { cooler, valve, pumpLeakage, accumulator, isStable: notStable === 0 }
    intake.take('hydraulic-rig/zema', rated, start + SAMPLES_PER_CYCLE * 1_000_000, source, data)
  }
  const samples = profile.length * (SAMPLES_PER_CYCLE * HYDRAULIC.length + 5)
  return { name: 'hydraulic-rig', types: [sampled, rated], rows: intake.rows, samples }
}

const MILL_INTEGERS = new Set(['M1_CURRENT_PROGRAM_NUMBER', 'M1_sequence_number'])
const MILL_LABELS = new Set(['Machining_Process', 'tool_condition'])

function cncMill(folder: string): SizeData {
  const files = filesOf(folder, '.csv.gz')
  const names = csv(files[0] as string, ',').header.slice(1)
  const kind = (name: string) => (MILL_LABELS.has(name) ? label() : MILL_INTEGERS.has(name) ? i32() : f64())
  const sampled = typeOf('cnc-mill', 'Sampled', Object.fromEntries(names.map((name) => [name, kind(name)])))
  const intake = new Intake('cnc-mill')
  const begun = Date.UTC(2018, 0, 1) * 1000
  for (const path of files) {
    const { rows, source } = csv(path, ',')
    for (const [index, cells] of rows.entries()) {
      const data = names.map((name, column) => [name, MILL_LABELS.has(name) ? cells[column + 1] : Number(cells[column + 1])] as const)
      intake.take(`cnc-mill/${basename(path, '.csv.gz')}`, sampled, begun + index * 100_000, source, Object.fromEntries(data))
    }
  }
  return { name: 'cnc-mill', types: [sampled], rows: intake.rows, samples: intake.rows.length * names.length }
}

function typeOf(entity: string, event: string, fields: Fields): SizeType {
  return { entity, event, fields: fieldSchemas(fields) }
}

function filesOf(folder: string, ending: string): string[] {
  const names = readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter((name) => name.endsWith(ending))
  return names.sort().map((name) => join(folder, name))
}

/** A file's cells, none of which are quoted, and what the CSV door would call it: a hash of where it lies and how it begins. */
function csv(path: string, delimiter: string): { header: string[]; rows: string[][]; source: string } {
  const bytes = readFileSync(path)
  const text = (path.endsWith('.gz') ? gunzipSync(bytes) : bytes).toString()
  const [header, ...rows] = text
    .split(/\r?\n/)
    .filter((line) => line !== '')
    .map((line) => line.split(delimiter))
  return { header: header as string[], rows, source: `csv-${hash32(Buffer.from(path + text.slice(0, 4096))).toString(16)}` }
}

function tabbed(text: string): number[][] {
  return text
    .split(/\r?\n/)
    .filter((line) => line.trim() !== '')
    .map((line) => line.trim().split('\t').map(Number))
}

function numbers(cells: readonly string[], columns: readonly (readonly [field: string, column: number])[]): Record<string, number> {
  return Object.fromEntries(columns.map(([field, column]) => [field, Number(cells[column])]))
}
