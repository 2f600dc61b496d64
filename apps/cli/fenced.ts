import type { FencedEntity } from '#runtime/fenced-entities.js'
import type { PlantStatus } from '#recovery/plant-supervisor.js'
import { askSupervisor } from './ask-supervisor.js'
import type { Output } from './output.js'

/** A worker that is stuck, or just replaced, must not keep anybody from seeing what the others have. */
const WORKER_WITHIN_MS = 1000

/** Shows the entities that the workers of a running plant have fenced, and which workers did not answer. */
export async function showFenced(dataDirectory: string, output: Output): Promise<void> {
  const { processes } = (await askSupervisor(dataDirectory, 'status', { recoveries: 0 })) as PlantStatus
  const slots = processes.flatMap(({ role, slot }) => (role === 'worker' && slot !== null ? [slot] : []))
  const lists = await Promise.all(slots.map((slot) => fencedIn(dataDirectory, slot)))
  const fenced = lists.flatMap((list) => list ?? []).sort((a, b) => (a.entity < b.entity ? -1 : 1))
  const silent = slots.filter((_, index) => lists[index] === undefined)
  if (output.isJson) {
    output.json({ fenced, silent })
    return
  }
  if (fenced.length === 0 && silent.length === 0) output.line('No entity is fenced.')
  if (fenced.length > 0) {
    output.table(
      [{ title: 'entity' }, { title: 'worker' }, { title: 'up to version', align: 'right' }, { title: 'refuses with' }],
      fenced.map(({ entity, worker, version, code }) => [entity, `worker/${worker}`, version, code]),
    )
    output.line('They take no commands; all others work.')
    if (fenced.some(({ code }) => code === 'ROWS_FENCED'))
      output.line('ROWS_FENCED: stop the plant; `millrace log verify` shows the damage, and `millrace log repair` gives up what is gone.')
    if (fenced.some(({ code }) => code === 'APPLY_FAILED'))
      output.line(
        'APPLY_FAILED: the code cannot apply an event that is stored; `millrace get` on the entity says why. Mend it and start again.',
      )
  }
  for (const slot of silent) output.line(`worker/${slot} does not answer; what it has fenced is not known.`)
}

async function fencedIn(dataDirectory: string, worker: number): Promise<(FencedEntity & { readonly worker: number })[] | undefined> {
  try {
    const call = { role: 'worker', slot: worker, name: 'fenced', timeoutMs: WORKER_WITHIN_MS }
    const found = (await askSupervisor(dataDirectory, 'call', call)) as readonly FencedEntity[]
    return found.map((one) => ({ ...one, worker }))
  } catch {
    return undefined
  }
}
