import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

const REPOSITORY = fileURLToPath(new URL('../..', import.meta.url))

/** Counts, and refuses to count backwards: the smallest entity that shows order, loss and repetition. */
export const COUNTER = `import { defineEntity, definePlant, i32 } from 'millrace'

const Counter = defineEntity({
  name: 'counter',
  events: { Counted: { n: i32() } },
  commands: { count: { n: i32() } },
  initial: () => ({ count: 0, last: 0 }),
  decide: {
    count(state, command, { emit, refuse }) {
      if (command.n < 0) return refuse('NEGATIVE', { n: command.n })
      emit.Counted(command)
      return { count: state.count + 1 }
    },
  },
  apply: {
    Counted(state, event) {
      state.count++
      state.last = event.n
    },
  },
})

export default definePlant({ entities: [Counter] })
`

/** A folder far from the repository with the package installed, a plant in it, and a data directory to come. */
export class PlantFolder {
  readonly path = mkdtempSync(join(tmpdir(), 'millrace-plant-'))
  readonly data = join(this.path, 'data')
  readonly plantFile: string

  constructor(plant = COUNTER) {
    mkdirSync(join(this.path, 'node_modules'))
    symlinkSync(REPOSITORY, join(this.path, 'node_modules', 'millrace'), 'dir')
    writeFileSync(join(this.path, 'package.json'), '{"type":"module"}')
    this.plantFile = this.write('plant.js', plant)
  }

  /** Writes a file into the folder; its path. */
  write(name: string, content: string | Buffer): string {
    const path = join(this.path, name)
    writeFileSync(path, content)
    return path
  }

  processes(): LivingProcess[] {
    return livingProcesses(this.path)
  }

  /** Ends what is left and removes the folder; what was left. */
  remove(): LivingProcess[] {
    const left = this.processes()
    for (const { pid } of left) process.kill(pid, 'SIGKILL')
    rmSync(this.path, { recursive: true, force: true })
    return left
  }
}

export interface LivingProcess {
  readonly pid: number
  readonly command: string
}

/** Living processes that work below a folder: told by what they were started with, not by what Millrace says. */
export function livingProcesses(folder: string): LivingProcess[] {
  return readdirSync('/proc').flatMap((name) => {
    const pid = Number(name)
    if (!Number.isInteger(pid) || pid === process.pid) return []
    try {
      const command = readFileSync(`/proc/${pid}/cmdline`, 'utf8')
      const isOurs = command.includes(folder) || readFileSync(`/proc/${pid}/environ`, 'utf8').includes(folder)
      return isOurs && !isZombie(pid) ? [{ pid, command: command.split('\0').slice(1).join(' ') }] : []
    } catch {
      return []
    }
  })
}

function isZombie(pid: number): boolean {
  return / Z /.test(readFileSync(`/proc/${pid}/stat`, 'utf8').replace(/\(.*\)/, ''))
}
