import type { Command } from './command.js'
import { DATA_OPTION } from './place.js'

/** The commands that look after the log's files. */
export const LOG_COMMANDS: readonly Command[] = [
  {
    name: 'log verify',
    summary: 'Check the whole log: every checksum, the chain, every row',
    options: [DATA_OPTION],
    examples: [['log verify --data ./data', 'exit code 1 when anything is damaged, and what']],
    hasJson: true,
    load: async () => (await import('./log-verify.js')).runLogVerify,
  },
]
