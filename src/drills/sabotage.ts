/** A fault that the checker must find: one command acknowledged without being stored, one stored twice, or two in the wrong order. */
export type Sabotage = 'lose' | 'duplicate' | 'reorder'

export const SABOTAGES: readonly Sabotage[] = ['lose', 'duplicate', 'reorder']

export function isSabotage(text: string): text is Sabotage {
  return (SABOTAGES as readonly string[]).includes(text)
}
