export interface ScaffoldOptions {
  /** Of the plant's package. */
  readonly name: string
  /** What its package.json has as the dependency `millrace`. */
  readonly millrace: string
}

/** The files of a new plant, path → text: a press that overheats, its CSV file and its test. Each is made to be changed. */
export function scaffold({ name, millrace }: ScaffoldOptions): Record<string, string> {
  return {
    'package.json': packageJson(name, millrace),
    'press.js': PRESS,
    'plant.js': PLANT,
    'press.map.yaml': MAP,
    'press.csv': CSV,
    'press.test.js': TEST,
    'millrace.yaml': CONFIG,
    '.gitignore': 'node_modules/\ndata/\n',
    'README.md': readme(name),
  }
}

function packageJson(name: string, millrace: string): string {
  const manifest = {
    name,
    private: true,
    type: 'module',
    scripts: { start: 'millrace up plant.js', test: 'node --test' },
    dependencies: { millrace },
  }
  return `${JSON.stringify(manifest, null, 2)}\n`
}

const PRESS = `import { defineEntity, f64, i32, label } from 'millrace'

/** A press that is sampled, raises an alarm when it is too hot, and is out of order after too many. */
export const Press = defineEntity({
  name: 'press',

  // What can have happened. Fields become columns of the log; a unit is for people.
  events: {
    Sampled: { temperature: f64('°C'), force: f64('kN') },
    AlarmRaised: { code: label(), value: f64() },
    Serviced: { alarms: i32() },
  },

  // What can be asked for.
  commands: {
    sample: { temperature: f64('°C'), force: f64('kN') },
    service: {},
  },

  initial: () => ({ temperature: Number.NaN, force: Number.NaN, alarms: 0 }),

  // Decides what a command comes to: emits events, refuses, replies. Changes nothing.
  decide: {
    sample(state, command, { emit, refuse }) {
      if (state.alarms >= 10) return refuse('OUT_OF_ORDER', { alarms: state.alarms })
      emit.Sampled(command)
      if (command.temperature > 90) emit.AlarmRaised({ code: 'OVERHEAT', value: command.temperature })
      return { alarms: state.alarms }
    },
    service(state, _command, { emit }) {
      emit.Serviced({ alarms: state.alarms })
      return undefined
    },
  },

  // Applies an event to the state, in place. Depends on the two alone: no clock, no chance, nothing async.
  apply: {
    Sampled(state, event) {
      state.temperature = event.temperature
      state.force = event.force
    },
    AlarmRaised(state) {
      state.alarms++
    },
    Serviced(state) {
      state.alarms = 0
    },
  },
})
`

const PLANT = `import { definePlant } from 'millrace'
import { Press } from './press.js'

export default definePlant({ entities: [Press] })
`

const MAP = `# Turns each row of press.csv into one command. \`millrace ingest csv --infer FILE\` proposes such a map for a file of yours.
format: csv
delimiter: ','
header: true
zone: Europe/Berlin # of times that carry no offset
time: { column: time, format: 'YYYY-MM-DD hh:mm:ss' }
entity: { type: press, name: { column: press } }
command: sample
fields:
  temperature: { column: temperature, unit: °C }
  force: { column: force, unit: kN }
`

const CSV = `time,press,temperature,force
2026-01-05 06:00:00,press-1,61.5,118.2
2026-01-05 06:00:00,press-2,63.0,121.9
2026-01-05 06:00:10,press-1,74.25,120.4
2026-01-05 06:00:10,press-2,64.1,119.7
2026-01-05 06:00:20,press-1,91.5,122.8
2026-01-05 06:00:20,press-2,64.8,120.0
`

const TEST = `import { test } from 'node:test'
import { given } from 'millrace/testing'
import { Press } from './press.js'

const { Sampled, AlarmRaised, Serviced } = Press.event
const overheated = AlarmRaised({ code: 'OVERHEAT', value: 95 })

test('a sample is recorded', () => {
  given(Press, [])
    .when.sample({ temperature: 60, force: 3 })
    .then([Sampled({ temperature: 60, force: 3 })])
})

test('a hot sample raises an alarm', () => {
  given(Press, [])
    .when.sample({ temperature: 95, force: 3 })
    .then([Sampled({ temperature: 95, force: 3 }), overheated])
})

test('a service takes the alarms back', () => {
  given(Press, [overheated, overheated])
    .when.service({})
    .then([Serviced({ alarms: 2 })])
})
`

const CONFIG = `# yaml-language-server: $schema=./node_modules/millrace/config/config.schema.json
# What differs from the defaults, which node_modules/millrace/config/default.yaml explains. \`npx millrace config plant.js\` prints what holds.
workers:
  count: 2
http:
  port: 8080
`

function readme(name: string): string {
  return `# ${name}

A plant on [Millrace](https://www.npmjs.com/package/millrace): \`press.js\` is a machine, \`press.test.js\` its test, \`plant.js\` what runs, \`press.map.yaml\` how
a CSV file becomes commands, \`millrace.yaml\` the configuration.

\`\`\`sh
npm install
npm test                                     # the machine alone, without a plant
npx millrace up plant.js                     # until Ctrl-C; everything is kept in ./data
\`\`\`

In a second terminal, while it runs:

\`\`\`sh
npx millrace ingest csv press.csv --map press.map.yaml --data ./data
npx millrace get press/press-1 --data ./data
npx millrace query --entity press/press-1 --data ./data
npx millrace send press/press-1 sample '{"temperature": 95, "force": 3}' --data ./data
npx millrace status --data ./data
\`\`\`
`
}
