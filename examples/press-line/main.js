// A production cell: ten presses and a conveyor, spawned and supervised by a controller, all of them PackML machines. Two hours of it run in some seconds, since the
// plant's clock is a toy; everything is in the log all the same, and the table at the end is computed from there.
import { defineEntity, f64, i32, label, openPlant, signal } from 'millrace'
import { readRows } from 'millrace/journal'
import { alarm, oee, packml } from 'millrace/packml'
import { FakeClock } from 'millrace/testing'

const SECOND = 1000
const MINUTE = 60 * SECOND
const CYCLE_MS = 10 * SECOND
const MICROS = 1000 // of a millisecond

const parts = packml()
const nameOf = (entity) => entity.slice(entity.indexOf('/') + 1)

/** States that end in -ing are done by themselves after a while, but for Execute, which is the work. */
function acting(ms) {
  const states = Object.entries(parts.states).filter(([name]) => name.endsWith('ing'))
  return Object.fromEntries(
    states.map(([state, part]) => [state, { ...part, onEnter: (_machine, { after }) => after(ms, 'stateComplete', { state }) }]),
  )
}

const Alarm = defineEntity({ name: 'alarm', ...alarm({ priority: 2 }) })

// Makes a part each cycle. Jams now and then, which an operator clears; and when its die breaks, that is an error, and its supervisor's business.
const Press = defineEntity({
  name: 'press',
  ...parts,
  events: { ...parts.events, Stroked: { force: f64('kN') }, SetUp: { jamsAfter: i32(), breaksAfter: i32() } },
  commands: { ...parts.commands, setUp: { jamsAfter: i32(), breaksAfter: i32({ default: 0 }) }, stroke: {} },
  initial: () => ({ ...parts.initial(), strokes: 0, jamsAfter: 0, breaksAfter: 0 }),
  states: {
    ...parts.states,
    ...acting(2 * SECOND),
    Machine: {
      on: {
        ...parts.states.Machine.on,
        setUp(_press, command, { emit, after }) {
          emit.SetUp(command)
          after(0, 'reset', {})
        },
      },
    },
    Idle: { ...parts.states.Idle, onEnter: (_press, { tell, entity }) => tell(Cell, 'north').ready({ machine: entity }) },
    Execute: {
      ...parts.states.Execute,
      onEnter: (_press, { every }) => every(CYCLE_MS, 'stroke', {}, { key: 'cycle' }),
      onExit: (_press, { cancel }) => void cancel('cycle'),
      on: {
        ...parts.states.Execute.on,
        stroke(press, _command, { emit, tell, goto, entity }) {
          const strokes = press.strokes + 1
          if (strokes === press.breaksAfter) throw new Error('the die is broken')
          const isJam = strokes % press.jamsAfter === 0
          const force = isJam ? 900 : 400 + (strokes % 7)
          emit.Stroked({ force })
          emit.Counted({ consumed: 1, produced: 1, defective: isJam || strokes % 97 === 0 ? 1 : 0 })
          if (!isJam) return
          tell(Alarm, `${nameOf(entity)}-jam`).raise({ value: force, limit: 500 })
          goto('Holding')
        },
      },
    },
    // An operator comes, takes the part out and goes on.
    Held: { ...parts.states.Held, onEnter: (_press, { after }) => after(3 * MINUTE, 'unhold', {}) },
    Unholding: {
      ...parts.states.Unholding,
      onEnter(_press, { after, tell, entity }) {
        tell(Alarm, `${nameOf(entity)}-jam`).returnToNormal({})
        after(5 * SECOND, 'stateComplete', { state: 'Unholding' })
      },
    },
  },
  apply: {
    ...parts.apply,
    Stroked: (press) => void press.strokes++,
    SetUp: (press, { jamsAfter, breaksAfter }) => void Object.assign(press, { jamsAfter, breaksAfter }),
  },
})

// Tells the cell when it stands still and when it runs again.
const Conveyor = defineEntity({
  name: 'conveyor',
  ...parts,
  states: {
    ...parts.states,
    ...acting(SECOND),
    Idle: { ...parts.states.Idle, onEnter: (_belt, { tell, entity }) => tell(Cell, 'north').ready({ machine: entity }) },
    Execute: { ...parts.states.Execute, onEnter: (_belt, { tell }) => tell(Cell, 'north').beltRuns({}) },
    Holding: {
      ...parts.states.Holding,
      onEnter(_belt, { tell, after }) {
        tell(Cell, 'north').beltStands({})
        after(SECOND, 'stateComplete', { state: 'Holding' })
      },
    },
    Held: { ...parts.states.Held, onEnter: (_belt, { after }) => after(4 * MINUTE, 'unhold', {}) },
  },
})

const PRESSES = Array.from({ length: 10 }, (_, index) => `press-${index + 1}`)

// Spawns the machines when it is reset, starts what is ready, and has the presses wait while the belt stands.
const Cell = defineEntity({
  name: 'cell',
  ...parts,
  events: { ...parts.events, Heard: { text: label() } },
  commands: { ...parts.commands, ready: { machine: label() }, beltStands: {}, beltRuns: {}, onMachine: signal() },
  initial: () => ({ ...parts.initial(), errors: [] }),
  supervise: { strategy: 'one-for-one', onError: 'restart', restarts: 3, withinMs: 10 * MINUTE, signal: 'onMachine' },
  states: {
    ...parts.states,
    ...acting(SECOND),
    Machine: {
      on: {
        ...parts.states.Machine.on,
        ready: (_cell, { machine }, { tell }) =>
          machine.startsWith('press/') ? tell(Press, nameOf(machine)).start({}) : tell(Conveyor, nameOf(machine)).start({}),
        beltStands(_cell, _command, { tell }) {
          for (const name of PRESSES) tell(Press, name).suspend({ reason: 'the belt stands' })
        },
        beltRuns(_cell, _command, { tell }) {
          for (const name of PRESSES) tell(Press, name).unsuspend({})
        },
        onMachine(_cell, { from, signal: what, message }, { emit }) {
          if (what === 'errored') emit.Heard({ text: `${from}: ${message}` })
        },
      },
    },
    Resetting: {
      ...parts.states.Resetting,
      onEnter(_cell, { spawn, after }) {
        spawn(Conveyor, 'main', { begin: Conveyor.command.reset({}) })
        for (const [index, name] of PRESSES.entries())
          spawn(Press, name, { begin: Press.command.setUp({ jamsAfter: 90 + 40 * index, breaksAfter: name === 'press-7' ? 500 : 0 }) })
        after(SECOND, 'stateComplete', { state: 'Resetting' })
      },
    },
  },
  apply: { ...parts.apply, Heard: (cell, { text }) => void cell.errors.push(text) },
})

const clock = new FakeClock()
const plant = await openPlant({ entities: [Alarm, Press, Conveyor, Cell], clock })
await plant.entity(Cell, 'north').reset({})
const from = clock.nowMicros()
for (let minute = 0; minute < 120; minute++) {
  if (minute === 45) await plant.entity(Conveyor, 'main').hold({ reason: 'a pallet is stuck' })
  for (let second = 0; second < 60; second += 5) {
    clock.advance(5 * SECOND)
    await plant.drain()
  }
}

const logs = new Map(PRESSES.map((name) => [`press/${name}`, []]))
const alarms = new Map()
for await (const row of readRows(plant.journal, {})) {
  logs.get(row.entity)?.push(row)
  if (row.event === 'Raised') alarms.set(row.entity, (alarms.get(row.entity) ?? 0) + 1)
}
const { errors } = await plant.state(Cell, 'north')
console.log(`supervised: ${errors.join(', ')}`)
console.log(`alarms: ${[...alarms].map(([entity, count]) => `${nameOf(entity)} ${count}`).join(', ')}`)

const line = (name, ...figures) => console.log(name.padEnd(10) + figures.map((figure) => figure.padStart(14)).join(''))
const percent = (figure) => `${((figure ?? 0) * 100).toFixed(1)} %`
line('', 'availability', 'performance', 'quality', 'OEE')
for (const [entity, rows] of logs) {
  const [shift] = oee(rows, [{ from, to: from + 120 * MINUTE * MICROS }], { idealCycleMs: CYCLE_MS })
  line(nameOf(entity), ...[shift.availability, shift.performance, shift.quality, shift.oee].map(percent))
}
await plant.close()
