/** How one kind of machine behaves: normal distributions while it is sound, and how it wears. */
export interface MachineKind {
  /** What names begin with: `cnc-mill-001`. */
  readonly name: string
  /** Reports a second. Each report is a cycle. */
  readonly hertz: number
  /** Mean and standard deviation: mm/s, °C, A, rpm. */
  readonly vibration: Normal
  readonly temperature: Normal
  readonly current: Normal
  readonly spindleSpeed: Normal
  /** Of the tool, mm per 1,000 cycles; 0 without a tool. */
  readonly wearPer1000Cycles: number
  /** At this wear, mm, maintenance is scheduled. */
  readonly wearLimit: number
  /** How likely the roll after each 1,000 cycles finds a degradation. */
  readonly degradationProbability: number
  /** What degrades. */
  readonly component: string
}

export type Normal = readonly [mean: number, deviation: number]

/** A set of five: 28 reports a second. Spindle speeds and components are ours, all else is the original's. */
export const MACHINE_KINDS: readonly MachineKind[] = [
  {
    name: 'cnc-mill',
    hertz: 10,
    vibration: [6.5, 1.2],
    temperature: [55, 8],
    current: [15, 2.5],
    spindleSpeed: [6000, 150],
    wearPer1000Cycles: 0.08,
    wearLimit: 2,
    degradationProbability: 0.005,
    component: 'spindle bearing',
  },
  {
    name: 'cnc-lathe',
    hertz: 10,
    vibration: [4.2, 0.8],
    temperature: [72, 12],
    current: [18, 3],
    spindleSpeed: [1800, 60],
    wearPer1000Cycles: 0.12,
    wearLimit: 3,
    degradationProbability: 0.008,
    component: 'chuck',
  },
  {
    name: 'welder',
    hertz: 5,
    vibration: [2.1, 0.4],
    temperature: [95, 15],
    current: [25, 4],
    spindleSpeed: [0, 0],
    wearPer1000Cycles: 0.05,
    wearLimit: 1.5,
    degradationProbability: 0.003,
    component: 'electrode',
  },
  {
    name: 'assembly',
    hertz: 2,
    vibration: [0.8, 0.2],
    temperature: [35, 5],
    current: [8, 1.5],
    spindleSpeed: [0, 0],
    wearPer1000Cycles: 0.02,
    wearLimit: 0.5,
    degradationProbability: 0.001,
    component: 'gripper',
  },
  {
    name: 'inspection',
    hertz: 1,
    vibration: [0.3, 0.1],
    temperature: [28, 3],
    current: [5, 0.8],
    spindleSpeed: [0, 0],
    wearPer1000Cycles: 0,
    wearLimit: 0,
    degradationProbability: 0.0005,
    component: 'camera mount',
  },
]

/** The kind of the machine with this number, from 0: the five kinds in turn. */
export function kindOf(number: number): MachineKind {
  return MACHINE_KINDS[number % MACHINE_KINDS.length] as MachineKind
}
