import { bool, f64, i32, json, label, text } from '#entity/index.js'

// Each line that ends in `// error` has an error, and no other line has one.

export const unit = f64(3) // error
export const option = f64('°C', { optinal: true }) // error
export const otherDefault = f64('°C', { default: '3' }) // error
export const otherBool = bool({ default: 1 }) // error
export const outOfChoices = label({ oneOf: ['A', 'B'], default: 'C' }) // error
export const notText = label({ oneOf: [1, 2] }) // error
export const textChoices = text({ oneOf: ['A'] }) // error
export const wholeUnit = i32({ unit: 'mm' }) // error
export const jsonDefault = json<{ a: number }>({ default: { a: 'x' } }) // error
