import type { Output } from './output.js'

/** Prints what a source or target has to say as a remark. */
export function tell(output: Output, level: 'info' | 'warn' | 'error', fact: string, values: Readonly<Record<string, unknown>> = {}): void {
  const { next, ...rest } = values
  const pairs = Object.entries(rest).map(([name, value]) => `${name}=${typeof value === 'string' ? value : JSON.stringify(value)}`)
  const said = [fact, ...pairs].join(' ')
  output.note(`${level === 'info' ? '' : `${level}: `}${said}${typeof next === 'string' ? `: ${next}` : ''}`)
}
