import { writeFileSync } from 'node:fs'

/** Ends a vitest run with the plain line `N passed, N failed` (`, N skipped` may follow), counted over tests and files that could not run. */
export default class PlainSummary {
  onTestRunEnd(modules, unhandled) {
    let passed = 0
    let failed = unhandled.length
    let skipped = 0
    for (const module of modules) {
      let own = 0
      for (const test of module.children.allTests()) {
        own++
        const state = test.result().state
        if (state === 'passed') passed++
        else if (state === 'failed') failed++
        else skipped++
      }
      if (!module.ok() && own === 0) failed++
    }
    this.line = `${passed} passed, ${failed} failed${skipped > 0 ? `, ${skipped} skipped` : ''}`
    process.once('exit', () => {
      process.stdout.write(`${this.line}\n`)
      // Tells the task runner that there was a last line; without it vitest ended before it had run anything.
      if (process.env.MILLRACE_SUMMARY) writeFileSync(process.env.MILLRACE_SUMMARY, this.line)
    })
  }
}
