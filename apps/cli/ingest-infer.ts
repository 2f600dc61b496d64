import type { Run } from './command.js'

/** Placeholder until infer lands. */
export const runInfer: Run = () => Promise.reject(new Error('not yet'))
