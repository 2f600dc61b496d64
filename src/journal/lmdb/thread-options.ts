/**
 * How pools start their threads. They load ES modules, which piscina first tries to `require`; a thread that is ended in the middle of that takes the whole
 * process with it (a fatal error of V8 in Node 20). Without that feature it imports them, which can be broken off.
 */
export const THREAD_OPTIONS = { execArgv: ['--no-experimental-require-module'] }
