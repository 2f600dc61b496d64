// Compiles the addon unless it is there and made from these sources: part of `npm run build`. With --force always. Fails loudly.
import { compile, isCompiled } from './compile.mjs'

if (process.platform !== 'linux') {
  process.stdout.write(`addon: left out, since the shared-memory bus is for Linux and this is ${process.platform}; inline plants work\n`)
} else if (process.argv.includes('--force') || !isCompiled()) {
  const failure = compile()
  if (failure !== undefined) {
    process.stderr.write(`addon: compiling it failed: ${failure}\n`)
    process.stderr.write('addon: a C++ compiler, make and python3 are needed (Debian: apt-get install build-essential python3)\n')
    process.exitCode = 1
  }
}
