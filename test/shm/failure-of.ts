import { MillraceError } from '#base/errors.js'

/** The typed error that the call throws. Anything else that it throws, or nothing, fails the test. */
export function failureOf(call: () => unknown): MillraceError {
  let returned: unknown
  try {
    returned = call()
  } catch (error) {
    if (error instanceof MillraceError) return error
    throw error
  }
  throw new Error(`it did not throw but returned ${String(returned)}`)
}

export function codeOf(call: () => unknown): string {
  return failureOf(call).code
}
