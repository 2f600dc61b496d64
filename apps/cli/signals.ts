/** Exit code of a command that the user broke off: 128 + the number of SIGINT, as a shell has it. */
export const INTERRUPTED = 130

let ownEnd: (() => void) | undefined

/** Ends the process with 130 on SIGINT, unless a command has an end of its own; then on the second one. */
export function endOnInterrupt(): void {
  process.on('SIGINT', () => {
    const end = ownEnd
    ownEnd = undefined
    if (end === undefined) process.exit(INTERRUPTED)
    end()
  })
}

/** Lets a command finish properly on the first SIGINT: close files, say how to go on. It then answers INTERRUPTED by itself. */
export function onInterrupt(end: () => void): void {
  ownEnd = end
}

/** A reader that has seen enough, such as `head`, is no failure; a file on a full disk is one. */
export function endOnClosedPipe(): void {
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code === 'EPIPE') process.exit(0)
    process.stderr.write(`millrace: the result cannot be written: ${error.message}: make room, or write it elsewhere\n`)
    process.exit(1)
  })
}
