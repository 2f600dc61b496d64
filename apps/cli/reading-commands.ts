import type { Command } from './command.js'
import { DATA_OPTION, PLANT_OPTION } from './place.js'

/** The commands that read what the log holds. */
export const READING_COMMANDS: readonly Command[] = [
  {
    name: 'get',
    summary: 'Print the state of an entity, now or as of a version',
    args: '<entity>',
    options: [DATA_OPTION, PLANT_OPTION, ['--version <n>', 'as of this version']],
    examples: [
      ['get press/press-1', 'its state now'],
      ['get press/press-1 --version 17', 'its state after its 17th row'],
    ],
    hasJson: true,
    load: async () => (await import('./get.js')).runGet,
  },
  {
    name: 'query',
    summary: 'Print rows of the log that match',
    options: [
      DATA_OPTION,
      ['--entity <id>', 'one entity, or a pattern such as press/*'],
      ['--event <name>', 'events of this name'],
      ['--from <position>', 'from this position of the log'],
      ['--to <position>', 'up to this position'],
      ['--since <time>', 'that happened at or after this time'],
      ['--until <time>', 'that happened at or before this time'],
      ['--receipts', 'also rows of commands that stored no event'],
      ['--limit <n>', 'at most so many'],
    ],
    examples: [
      ['query --entity press/press-1 --json', 'everything that happened to a press, a JSON object a line'],
      ["query --entity 'press/*' --event AlarmRaised --since 2026-11-21T06:00:00Z", 'the alarms of a shift'],
    ],
    hasJson: true,
    load: async () => (await import('./query.js')).runQuery,
  },
  {
    name: 'tail',
    summary: 'Print the newest rows of the log, and with --follow those to come',
    options: [
      DATA_OPTION,
      ['-n, --lines <n>', 'how many'],
      ['--from <position>', 'from this position on instead, or from the beginning or the end'],
      ['--entity <id...>', 'of these entities, or patterns such as press/*'],
      ['--event <name...>', 'events of these names'],
      ['-f, --follow', 'go on with what comes, across restarts of the journal and of the plant'],
      ['--name <name>', 'as this subscription: go on behind what the last run printed'],
    ],
    examples: [
      ['tail -f', 'watch the log grow'],
      ["tail -f --entity 'press/*' --event AlarmRaised --json", 'every alarm of a press from now on, a JSON object a line'],
      ['tail -f --name archive --json', 'every row since the last time, at least once'],
    ],
    hasJson: true,
    load: async () => (await import('./tail.js')).runTail,
  },
]
