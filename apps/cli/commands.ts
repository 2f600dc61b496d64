import type { Command, Groups } from './command.js'
import { CONFIG_OPTION, DATA_OPTION, PLANT_OPTION } from './place.js'

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
    name: 'up',
    summary: 'Run a plant until Ctrl-C: supervisor, journal, workers and gateway',
    args: '[plant]',
    options: [DATA_OPTION, CONFIG_OPTION, ['--log', 'print what the processes log instead of keeping it in the data directory']],
    examples: [
      ['up plant.js', 'run the plant of this folder with its data in ./data'],
      ['up plant.js --data /var/lib/plant', 'the same with the data elsewhere'],
    ],
    hasJson: true,
    load: async () => (await import('./up.js')).runUp,
  },
  {
    name: 'down',
    summary: 'Stop the plant that runs on a data directory, losing nothing',
    options: [DATA_OPTION, ['--force', 'stop at once; what was acknowledged is durable']],
    examples: [['down --data ./data', 'drain and stop']],
    hasJson: true,
    load: async () => (await import('./down.js')).runDown,
  },
  {
    name: 'status',
    summary: 'Show the processes of a running plant and its newest recoveries',
    options: [DATA_OPTION, ['--watch', 'again every second']],
    examples: [
      ['status', 'the plant on ./data'],
      ['status --watch --json', 'a JSON line a second'],
    ],
    hasJson: true,
    load: async () => (await import('./status.js')).runStatus,
  },
  {
    name: 'demo',
    summary: 'Run 1,000 simulated machines, kill processes, prove that nothing is lost',
    options: [
      ['--machines <n>', 'how many machines send'],
      ['--seconds <n>', 'how long they send'],
      ['--seed <n>', 'of the simulation'],
      ['--data <dir>', 'keep the data here instead of throwing it away'],
      ['--sabotage <kind>', 'make one event wrong, which the check must find: lose, duplicate or reorder'],
    ],
    examples: [
      ['demo', 'twenty seconds, three kills, a report'],
      ['demo --sabotage lose', 'see the check catch a lost event'],
    ],
    hasJson: true,
    load: async () => (await import('./demo.js')).runDemo,
  },
  {
    name: 'ingest csv',
    summary: 'Take a CSV file in, going on where an earlier run stopped',
    args: '<file>',
    options: [
      ['--map <file>', 'which column is what: a map file'],
      DATA_OPTION,
      PLANT_OPTION,
      CONFIG_OPTION,
      ['--speed <speed>', 'max, real, or N times faster than the rows happened', 'max'],
      ['--rejects <file>', 'where rejected rows go; by default into the data directory'],
      ['--infer', 'propose map, entity and plant from the header and the first rows'],
      ['--write', 'write the proposal into this folder, or into --into'],
      ['--into <dir>', 'folder for the proposal'],
    ],
    examples: [
      ['ingest csv line1.csv --infer --write', 'propose a map, an entity and a plant'],
      ['ingest csv line1.csv --map line1.map.yaml', 'take the file in'],
    ],
    hasJson: true,
    load: async () => (await import('./ingest-csv.js')).runIngestCsv,
  },
  {
    name: 'send',
    summary: 'Send one command to an entity and print its durable answer',
    args: '<entity> <command> [data]',
    options: [
      DATA_OPTION,
      PLANT_OPTION,
      CONFIG_OPTION,
      ['--source <name>', 'who sends; with --sequence, sending it again gives the first answer'],
      ['--sequence <n>', 'the number of this command at its source'],
      ['--at <time>', 'when it happened: ISO 8601, or microseconds since 1970'],
    ],
    examples: [[`send press/press-1 sample '{"temperature":95,"force":3}'`, 'one sample']],
    hasJson: true,
    load: async () => (await import('./send.js')).runSend,
  },
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
      ['--from <position>', 'from this position on instead'],
      ['--entity <id>', 'of one entity, or of a pattern such as press/*'],
      ['-f, --follow', 'go on with what comes, across restarts'],
    ],
    examples: [['tail -f', 'watch the log grow']],
    hasJson: true,
    load: async () => (await import('./tail.js')).runTail,
  },
  {
    name: 'drill',
    summary: 'Kill processes of a plant under load, again and again, and report',
    options: [
      ['--kill <roles>', 'worker, journal, gateway or supervisor; several with commas take turns', 'worker'],
      ['--times <n>', 'how many kills'],
      ['--machines <n>', 'how many simulated machines send'],
      ['--seed <n>', 'of the simulation'],
      ['--data <dir>', 'keep the data here instead of throwing it away'],
    ],
    examples: [
      ['drill --kill worker --times 20', 'twenty dead workers'],
      ['drill --kill worker,journal,gateway,supervisor --times 8 --json', 'each in turn, for a program'],
    ],
    hasJson: true,
    load: async () => (await import('./drill.js')).runDrill,
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
