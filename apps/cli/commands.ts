import type { Command, Groups } from './command.js'

/**
 * Every command there is, in the order of the help: data only, so that `millrace --help` loads no command's code. A command gets its entry
 * here when its file exists.
 */
export const COMMANDS: readonly Command[] = [
  {
    name: 'init',
    summary: 'Scaffold a plant with an entity, a map, a configuration and a test',
    args: '<folder>',
    examples: [['init my-plant', 'a plant in a new folder, ready for npm install']],
    hasJson: true,
    load: async () => (await import('./init.js')).runInit,
  },
  {
    name: 'bench',
    summary: 'Measure something on this machine; without a name, list what',
    args: '[name]',
    examples: [
      ['bench rtt', 'the round trip of one message over the bus'],
      ['bench rtt --json', 'the same, for a program'],
    ],
    handsOn: true,
    load: async () => (await import('./bench.js')).runBench,
  },
  {
    name: 'config',
    summary: 'Print every value of the configuration and where it comes from',
    args: '[plant]',
    options: [['--config <file>', 'read this file instead of the millrace.yaml beside the plant file']],
    examples: [
      ['config plant.js', 'what a plant would run with'],
      ['config --json', 'the same for the working directory, for a program'],
    ],
    hasJson: true,
    load: async () => (await import('./config.js')).runConfig,
  },
]

export const GROUPS: Groups = {
  ingest: 'Take commands in from files and brokers',
  log: 'Look after the log',
}
