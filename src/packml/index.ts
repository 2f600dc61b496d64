// The entry millrace/packml: machines by ANSI/ISA-TR88, their effectiveness by ISO 22400, alarms by ISA-18.2.
export { alarm, ALARM_STATES, type AlarmData, type AlarmOptions, type AlarmParts, type AlarmState } from './alarm.js'
export { type Oee, oee, type OeeFlag, type OeeOptions, type Window } from './oee.js'
export { packml, type PackmlData, type PackmlMode, type PackmlOptions, type PackmlParts } from './packml.js'
export { PACKML_COMMANDS, PACKML_STATES, type ActingState, type HoldFrom, type PackmlCommand, type PackmlState } from './table.js'
export { type MachineEvent, stateTimes, type Stretch, type Timeline, timeline } from './timeline.js'
