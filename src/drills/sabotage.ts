/** A fault that the checker must find: one command acknowledged without being stored, one stored twice, two in the wrong order, or one stored with another value. */
export type Sabotage = 'lose' | 'duplicate' | 'reorder' | 'tear'

export const SABOTAGES: readonly Sabotage[] = ['lose', 'duplicate', 'reorder', 'tear']

export function isSabotage(text: string): text is Sabotage {
  return (SABOTAGES as readonly string[]).includes(text)
}
