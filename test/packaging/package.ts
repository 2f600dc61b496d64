import { spawn } from 'node:child_process'
import { cpSync, mkdirSync, mkdtempSync, readdirSync, realpathSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

export const ROOT = fileURLToPath(new URL('../..', import.meta.url))
export const FIXTURES = fileURLToPath(new URL('./fixtures', import.meta.url))

export interface Finished {
  readonly code: number
  /** stdout and stderr as they came. */
  readonly text: string
}

/** Runs a program to its end, without what `npm test` put into the environment for npm itself. */
export function finish(
  command: string,
  args: readonly string[],
  cwd: string,
  env: Readonly<Record<string, string>> = {},
): Promise<Finished> {
  const inherited = Object.entries(process.env).filter(([name]) => !/^(npm_|VITEST|NODE_ENV|MILLRACE_)/.test(name))
  const child = spawn(command, args, { cwd, env: { ...Object.fromEntries(inherited), ...env } })
  let text = ''
  child.stdout.on('data', (chunk: Buffer) => (text += chunk.toString()))
  child.stderr.on('data', (chunk: Buffer) => (text += chunk.toString()))
  return new Promise((resolve, reject) => {
    child.once('error', reject)
    child.once('close', (code) => resolve({ code: code ?? 1, text }))
  })
}

/** Runs a program that must end with 0, and answers what it printed. */
export async function succeed(command: string, args: readonly string[], cwd: string): Promise<string> {
  const { code, text } = await finish(command, args, cwd)
  if (code !== 0) throw new Error(`${command} ${args.join(' ')} ended with ${code}:\n${text}`)
  return text
}

/** The package packed as for publishing, in a temporary folder far from the clone. */
export class PackedPackage {
  readonly folder = realpathSync(mkdtempSync(join(tmpdir(), 'millrace-pack-')))
  #tarball = ''

  get tarball(): string {
    return this.#tarball
  }

  async pack(): Promise<void> {
    await succeed('npm', ['pack', '--pack-destination', this.folder], ROOT)
    const name = readdirSync(this.folder).find((file) => file.endsWith('.tgz'))
    if (name === undefined) throw new Error('npm pack made no tarball')
    this.#tarball = join(this.folder, name)
  }

  /**
   * An empty project with the tarball and the given packages installed; answers its folder. What npm decided for a project `like` it holds here too, so that it
   * need not decide again.
   */
  async install(project: string, packages: readonly string[], flags: readonly string[] = [], like?: string): Promise<string> {
    const folder = join(this.folder, project)
    mkdirSync(folder)
    writeFileSync(join(folder, 'package.json'), '{ "name": "consumer", "private": true, "type": "module" }\n')
    if (like !== undefined) cpSync(join(this.folder, like, 'package-lock.json'), join(folder, 'package-lock.json'))
    await this.add(folder, [this.tarball, ...packages], flags)
    return folder
  }

  /** Installs packages into a project, beside what it has. */
  async add(folder: string, packages: readonly string[], flags: readonly string[] = []): Promise<void> {
    const quiet = ['--no-audit', '--no-fund', '--prefer-offline', '--loglevel=error']
    await succeed('npm', ['install', ...quiet, ...flags, ...packages], folder)
  }

  /** A second project like one that was installed, at the price of copying it. */
  copyOf(project: string, name: string): string {
    const folder = join(this.folder, name)
    cpSync(join(this.folder, project), folder, { recursive: true, verbatimSymlinks: true })
    return folder
  }

  remove(): void {
    rmSync(this.folder, { recursive: true, force: true })
  }
}
