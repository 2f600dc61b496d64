import type { Command } from './command.js'
import { DATA_OPTION } from './place.js'

/** The commands that look after the log's files. */
export const LOG_COMMANDS: readonly Command[] = [
  {
    name: 'log segments',
    summary: 'Show the files of the log, their size, and which subscriptions need them',
    options: [DATA_OPTION],
    examples: [['log segments --data ./data', 'what is sealed, and how much room it takes']],
    hasJson: true,
    load: async () => (await import('./log-segments.js')).runLogSegments,
  },
  {
    name: 'log verify',
    summary: 'Check the whole log: every checksum, the chain, every row',
    options: [DATA_OPTION],
    examples: [['log verify --data ./data', 'exit code 1 when anything is damaged, and what']],
    hasJson: true,
    load: async () => (await import('./log-verify.js')).runLogVerify,
  },
  {
    name: 'log repair',
    summary: 'Fence what is damaged, after telling which events are gone',
    options: [DATA_OPTION, ['--dry-run', 'only tell'], ['--yes', 'do not ask']],
    examples: [
      ['log repair --dry-run', 'which events are gone, and what would be done'],
      ['log repair --yes --json', 'for scripts; the plant must be stopped'],
    ],
    hasJson: true,
    load: async () => (await import('./log-repair.js')).runLogRepair,
  },
  {
    name: 'log export',
    summary: 'Write rows of the log as Parquet, CSV or JSON lines',
    options: [
      DATA_OPTION,
      ['--out <path>', 'a file (.parquet, .csv, .jsonl), or a folder with a file for each event type'],
      ['--format <format>', 'parquet, csv or jsonl, where the name does not say'],
      ['--entity <id>', 'one entity, or a pattern such as press/*'],
      ['--event <name>', 'events of this name'],
      ['--from <position>', 'from this position of the log'],
      ['--to <position>', 'up to this position'],
      ['--since <time>', 'that happened at or after this time'],
      ['--until <time>', 'that happened at or before this time'],
      ['--where <comparison...>', 'rows for which it holds, such as temperature>90'],
      ['--receipts', 'also rows of commands that stored no event, and of outboxes'],
      ['--force', 'replace what an export left there before'],
    ],
    examples: [
      ['log export --format parquet --out ./export', 'everything, a Parquet file for each event type'],
      ['log export --event Sampled --since 2026-11-01 --out sampled.csv', 'one event type as a file'],
    ],
    hasJson: true,
    load: async () => (await import('./log-export.js')).runLogExport,
  },
  {
    name: 'log backup',
    summary: 'Copy the log into a directory, also while the plant runs',
    args: '<directory>',
    options: [DATA_OPTION, ['--accept-damage', 'copy a damaged log as it is']],
    examples: [
      ['log backup /mnt/backup/press-hall', 'a first backup, or the one in that directory brought up to date'],
      ['log backup "/mnt/backup/$(date +%F)" --json', 'a backup of its own for each day'],
    ],
    hasJson: true,
    load: async () => (await import('./log-backup.js')).runLogBackup,
  },
  {
    name: 'log restore',
    summary: 'Make a data directory of a backup, and verify it',
    args: '<backup>',
    options: [
      ['--data <dir>', 'an empty or a new directory'],
      ['--accept-damage', 'restore a backup of a damaged log as it is'],
    ],
    examples: [['log restore /mnt/backup/press-hall --data ./restored', 'then `millrace up plant.js --data ./restored`']],
    hasJson: true,
    load: async () => (await import('./log-restore.js')).runLogRestore,
  },
]
