// The entry millrace/xstate: entity types made of XState 5 machines. Needs the package xstate.
export { fromMachine, type FromMachineOptions, type MachineState } from './from-machine.js'
