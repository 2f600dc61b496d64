import type { EntityId } from '#base/ids.js'
import type { DeviceCommand, DeviceScript } from '#drills/device-fleet.js'

/** So many devices that each say something every `everyMs`, from the time of the first step on. */
export function deviceScript(devices: number, everyMs: number): DeviceScript {
  let due: number | undefined
  return {
    *advanceTo(micros): Generator<DeviceCommand> {
      due ??= micros
      for (; due <= micros; due += everyMs * 1000)
        for (let device = 0; device < devices; device++)
          yield { entity: entityOf(device), command: 'sample', data: { temperature: device }, at: due }
    },
  }
}

export function entityOf(device: number): EntityId {
  return `press/press-${device}`
}
