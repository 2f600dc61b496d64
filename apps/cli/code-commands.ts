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
  {
    name: 'code upgrade',
    summary: 'Change the code of a running plant, shard by shard, and back when it fails',
    args: '<plant>',
    options: [
      DATA_OPTION,
      ['--probation <ms>', 'watch each worker with the new code for so long over its first commands', '1000'],
      ['--allow-faults', 'go on when the new code fails over a command, which is then answered as failed'],
      ['--check', 'fold the whole log with the new code first, as code check does'],
    ],
    examples: [
      [
        'code upgrade releases/1.1.0/plant.js',
        'change the plant on ./data to the module, whose version is higher; exit code 1 when the plant has returned to the old code, or nothing changed',
      ],
      [
        'code upgrade releases/1.1.0/plant.js --data ./data --check --json',
        'fold the log with it first, and report each step as a line of JSON',
      ],
    ],
    hasJson: true,
    load: async () => (await import('./code-upgrade.js')).runCodeUpgrade,
  },
]
