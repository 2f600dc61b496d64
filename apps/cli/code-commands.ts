import type { Command } from './command.js'
import { DATA_OPTION } from './place.js'

/** The commands that look after the plant's code. */
export const CODE_COMMANDS: readonly Command[] = [
  {
    name: 'code check',
    summary: 'Fold the log twice under other conditions and name the first event that differs',
    args: '[plant]',
    options: [DATA_OPTION, ['--entity <name>', 'an entity type, one entity, or a pattern such as press/press-1*']],
    examples: [
      [
        'code check',
        'the whole log of ./data with the plant that last ran there; exit code 1 when a state depends on more than its events',
      ],
      ['code check plant.js --data ./data --entity press --json', 'one entity type with the code of a plant file, for a program'],
    ],
    hasJson: true,
    load: async () => (await import('./code-check.js')).runCodeCheck,
  },
]
