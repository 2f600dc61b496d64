// node --test examples/press
import { test } from 'node:test'
import { given } from 'millrace/testing'
import { Press } from './press.js'

const { Sampled, AlarmRaised, Serviced } = Press.event
const overheated = AlarmRaised({ code: 'OVERHEAT', value: 95 })

test('a sample is recorded', () => {
  given(Press)
    .when.sample({ temperature: 60, force: 3 })
    .then([Sampled({ temperature: 60, force: 3 })])
    .thenReply({ alarms: 0 })
})

test('a sample may raise two alarms at once', () => {
  given(Press)
    .when.sample({ temperature: 95, force: 501 })
    .then([Sampled({ temperature: 95, force: 501 }), overheated, AlarmRaised({ code: 'OVERLOAD', value: 501 })])
})

test('a press with ten alarms takes no samples', () => {
  given(Press, Array(10).fill(overheated)).when.sample({ temperature: 20, force: 3 }).thenRefused('OUT_OF_ORDER', { alarms: 10 })
})

test('a service takes the alarms back', () => {
  given(Press, [overheated, overheated])
    .when.service({ by: 'Ada' })
    .then([Serviced({ by: 'Ada', alarms: 2 })])
    .thenState({ temperature: Number.NaN, force: Number.NaN, alarms: 0, services: 1 })
})
