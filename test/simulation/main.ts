import { register } from 'node:module'
import { isMainThread } from 'node:worker_threads'

register('./hooks.js', import.meta.url)
if (isMainThread) {
  const { simulate } = await import('./simulate.js')
  process.exitCode = await simulate(process.argv.slice(2), (text) => process.stdout.write(text))
} else {
  const { answerSearch } = await import('./search.js')
  await answerSearch()
}
