import { type EntityId, entityId } from '#base/ids.js'

export type SensorData = {
  temperature: number
  pressure: number
  state: string
  cycle: number
}

const STATES = ['RUNNING', 'IDLE', 'STARVED', 'BLOCKED']

export function sensorId(number: number): EntityId {
  return entityId('sensor', sensorName(number))
}

/** Its entity's name, and what it calls itself as a source. */
export function sensorName(number: number): string {
  return `sensor-${number + 1}`
}

/** Fills in what a sensor reports in a round, from 1: told from the two numbers alone, so that a reader can check it. */
export function sensorReport(sensor: number, round: number, data: SensorData): SensorData {
  data.temperature = 60 + ((sensor * 7 + round * 13) % 400) / 16
  data.pressure = 5 + ((sensor * 31 + round * 17) % 1021) / 1000
  data.state = STATES[(sensor + (round >> 6)) & 3] as string
  data.cycle = round
  return data
}

export function emptyReport(): SensorData {
  return { temperature: Number.NaN, pressure: Number.NaN, state: '', cycle: 0 }
}
