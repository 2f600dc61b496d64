import { execFile } from 'node:child_process'
import { existsSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { promisify } from 'node:util'
import { messageOf } from '#base/errors.js'
import { sourcePath } from './compiled.js'

const execute = promisify(execFile)

/** A C program of bench/reference, compiled for this run. */
export interface CProgram {
  /** Runs it to its end and answers the JSON that it printed. */
  run(args: readonly (string | number)[], timeoutMs: number): Promise<unknown>
  /** Removes what was compiled. */
  remove(): void
}

/** Compiles with `cc -O2`, or answers in words why it cannot. */
export async function compileC(name: string): Promise<CProgram | string> {
  const source = sourcePath(`reference/${name}`)
  if (!existsSync(source)) return `its source ${source} is not installed`
  const folder = mkdtempSync(join(tmpdir(), `millrace-c-${process.pid}-`))
  const remove = () => rmSync(folder, { recursive: true, force: true })
  const program = join(folder, basename(name, '.c'))
  try {
    await execute('cc', ['-O2', '-o', program, source])
  } catch (error) {
    remove()
    return isMissing(error) ? 'there is no C compiler (cc) here' : `cc could not compile it: ${messageOf(error)}`
  }
  return {
    async run(args, timeoutMs) {
      const { stdout } = await execute(program, args.map(String), { timeout: timeoutMs, killSignal: 'SIGKILL' })
      return JSON.parse(stdout)
    },
    remove,
  }
}

function isMissing(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'ENOENT'
}
