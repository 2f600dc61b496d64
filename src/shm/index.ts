export { Bell, RemoteBell, ringBell } from './bell.js'
export { FileLock } from './file-lock.js'
export { isAlive, ownProcess, type ProcessIdentity, processStartTime } from './liveness.js'
export { Mapping, MAPPING_BYTES_MAX, type MappingAccess, type MappingOptions } from './mapping.js'
export { hasAddon } from './native.js'
export { allowedCores, currentCore, pinThread } from './pin.js'
export { Pulse, PULSE_PERIOD_MS_MAX, type PulseOptions, startPulse } from './pulse.js'
export { checkRoom, freeBytes } from './room.js'
export {
  createRuntimeDirectory,
  findRuntimeDirectory,
  removeRuntimeDirectory,
  RUNTIME_ROOT,
  type RuntimeDirectoryOptions,
  runtimeDirectoryOf,
} from './runtime-directory.js'
