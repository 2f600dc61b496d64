import { PlantModel } from '#entity/index.js'
import { replayCaptures } from '#runtime/capture-replay.js'
import { JournalAccess } from '#runtime/journal-access.js'
import { importPlant } from '#runtime/plant-module.js'
import { plantFileOf } from '#runtime/plant-session.js'
import { replayHashOf } from '#runtime/replay-hash.js'
import type { Run } from './command.js'
import { placeOf } from './place.js'

/** Feeds captured commands into a new plant and prints what its state comes to; with `--compare` exit code 1 when the log comes to another. */
export const runBusReplay: Run = async (files, options, output) => {
  const place = placeOf(options)
  const definition = await importPlant(plantFileOf(place))
  const progress = output.progress(100, '% of the captures')
  const replay = await replayCaptures(files, definition, (done, total) => progress.update(Math.floor((done / total) * 100))).finally(() =>
    progress.stop(),
  )
  const { stateHash, gaps, lostBytes, truncated } = replay
  const log = options['compare'] === true ? await hashOfLog(place.dataDirectory, new PlantModel(definition.entities)) : undefined
  const isEqual = log === undefined ? undefined : log === stateHash.live
  const isSound = stateHash.live === stateHash.replayed
  if (output.isJson) output.json({ ...replay, stateHash: stateHash.live, ...(log === undefined ? {} : { log, equal: isEqual }) })
  else {
    output.line(stateHash.live)
    output.note(`${replay.commands.toLocaleString('en-US')} commands stored ${replay.rows.toLocaleString('en-US')} rows`)
    if (isEqual !== undefined) output.note(isEqual ? 'the log comes to the same state' : `the log comes to another state: ${log}`)
  }
  if (gaps > 0) output.note(`the captures have ${gaps} gaps, ${lostBytes} bytes in all: this is the state without what is missing`)
  for (const path of truncated) output.note(`${path} stops before its end: this is the state up to there`)
  if (!isSound) output.note(`what was stored comes to ${stateHash.replayed} when it is folded again: that must not be`)
  return isSound && isEqual !== false ? 0 : 1
}

async function hashOfLog(dataDirectory: string, plant: PlantModel): Promise<string> {
  const access = await JournalAccess.open(dataDirectory)
  try {
    return await replayHashOf(access, plant)
  } finally {
    await access.close()
  }
}
