// Puts the compiled addon, stripped, where `npm pack` takes it from: part of `prepack`. Run native/build.mjs first.
import { spawnSync } from 'node:child_process'
import { copyFileSync, mkdirSync, rmSync } from 'node:fs'
import { dirname } from 'node:path'
import { builtBinary, isCompiled, loads, prebuiltBinary } from './compile.mjs'

if (process.platform !== 'linux') {
  process.stdout.write(`addon: no prebuild from ${process.platform}; the package will compile the addon where it is installed\n`)
} else {
  prebuild()
}

function prebuild() {
  rmSync(prebuiltBinary, { force: true })
  if (!isCompiled()) return fail('it is not compiled from these sources: run node native/build.mjs')
  mkdirSync(dirname(prebuiltBinary), { recursive: true })
  copyFileSync(builtBinary, prebuiltBinary)
  const strip = spawnSync('strip', ['--strip-unneeded', prebuiltBinary], { encoding: 'utf8' })
  if (strip.error !== undefined) return fail(`strip did not run: ${strip.error.message} (Debian: apt-get install binutils)`)
  if (strip.status !== 0) return fail(`strip ended with ${strip.status}: ${strip.stderr}`)
  if (!loads(prebuiltBinary)) return fail('the stripped binary does not load')
}

function fail(reason) {
  rmSync(prebuiltBinary, { force: true })
  process.stderr.write(`addon: no prebuild: ${reason}\n`)
  process.exitCode = 1
}
