import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'

setFlagsFromString('--expose-gc')

/** Collects what nobody refers to any more, at once. */
export const collectGarbage = runInNewContext('gc') as () => void

/** What objects and buffers take, without garbage, bytes. */
export function usedBytes(): number {
  for (let round = 0; round < 3; round++) collectGarbage()
  const { heapUsed, arrayBuffers } = process.memoryUsage()
  return heapUsed + arrayBuffers
}
