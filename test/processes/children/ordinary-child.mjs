// A process of any role that does no work but everything that its supervisor expects, and misbehaves as its settings say.
import { appendFileSync, existsSync, readFileSync, writeSync } from 'node:fs'
import { startBeating } from '../../../dist/src/processes/beat.js'
import { openLifeline } from '../../../dist/src/processes/lifeline.js'

const lifeline = openLifeline({ exitWithinMs: 400 })
const { role, settings } = lifeline.birth
let seat = `${role}/spare`

/** While the file `<folder>/<fault>` is there, processes of the role have that fault. */
const hasFault = (fault) => existsSync(`${settings.folder}/${role}-${fault}`)
const note = (what) => appendFileSync(`${settings.folder}/ledger`, `${seat} ${what}\n`)

/** Says over what it ends, as the fault has it. */
const failOver = (fault) => {
  lifeline.send({ kind: 'event', name: 'failed', data: JSON.parse(readFileSync(`${settings.folder}/${role}-${fault}`, 'utf8')) })
  process.exit(1)
}

if (hasFault('dies-loading')) process.exit(3)
if (hasFault('fails-loading')) failOver('fails-loading')
const { place } = startBeating(lifeline.birth, 10)
process.stderr.write(`${role} was born\n`)

lifeline.serveCalls({
  echo: (args) => args,
  // At a position: as a worker does while it executes the command there.
  spin: ({ ms, position }) => {
    note('spins')
    if (position !== undefined) place.commandAtHand.set(0, position)
    for (const end = Date.now() + ms; Date.now() < end; );
    place.commandAtHand.clear()
  },
  fail: () => {
    throw new Error('on purpose')
  },
  never: () => new Promise(() => {}),
  exit: ({ code }) => process.exit(code),
  // Waits for an answer that never comes: the supervisor is to end it for the line.
  babble: ({ line }) => new Promise(() => writeSync(3, `${line}\n`)),
  report: (data) => lifeline.send({ kind: 'event', name: 'report', data }),
})

lifeline.onMessage((message) => {
  if (message.kind === 'take') {
    seat = `${message.role}/${message.slot}`
    note(`took ${message.term} ${JSON.stringify(message.assignment)}`)
    if (hasFault('dies-taking')) process.exit(4)
    if (hasFault('fails-taking')) failOver('fails-taking')
    if (!hasFault('never-ready')) lifeline.send({ kind: 'ready', details: { entities: 7, events: 70, phases: { replay: 1.5 } } })
  } else if (message.kind === 'ring') {
    note(`rung for ${message.seat.role}/${message.seat.slot}`)
  } else if (message.kind === 'stop') {
    note('stops')
    if (hasFault('ignores-stop')) return
    setTimeout(() => {
      note('stopped')
      process.exit(0)
    }, 20)
  }
})

lifeline.onClosed(() => {
  note('orphaned')
  if (hasFault('lingers')) return new Promise(() => {})
})

lifeline.send({ kind: 'loaded' })
