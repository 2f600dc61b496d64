import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { compile, markedLines, root } from './compile.js'

const MUST_COMPILE = join(root, 'test/types/must-compile')
const MUST_NOT_COMPILE = join(root, 'test/types/must-not-compile')

let scratch = ''

beforeEach(() => {
  scratch = mkdtempSync(join(tmpdir(), 'millrace-types-'))
})

afterEach(() => {
  rmSync(scratch, { recursive: true })
})

describe('an entity type that is right', () => {
  test('compiles', () => {
    const { said } = compile(MUST_COMPILE)

    expect(said).toBe('')
  })

  test('can be exported with its declaration, fields by name', () => {
    const { said } = compile(MUST_COMPILE, '--noEmit', 'false', '--emitDeclarationOnly', '--outDir', scratch)

    expect(said).toBe('')
    expect(readFileSync(join(scratch, 'test/types/must-compile/press.d.ts'), 'utf8')).toMatch(
      /Sampled: \{\s+temperature: .*Field<number, "required">/,
    )
  })
})

describe('an entity type that is wrong', () => {
  test('does not compile where it is wrong, and only there', () => {
    const { errorLines } = compile(MUST_NOT_COMPILE)

    expect(markedLines(MUST_NOT_COMPILE).length).toBeGreaterThan(40)
    expect(errorLines).toEqual(markedLines(MUST_NOT_COMPILE))
  })

  test('hears that decide must not return a promise', () => {
    const { said } = compile(MUST_NOT_COMPILE)

    expect(said).toContain('decide must not return a promise')
    expect(said).toContain('there is no command of this name')
  })
})

describe('an entity type of 20 events with 50 fields each', () => {
  test('compiles within a bound, its misspelt fields found', () => {
    writeFileSync(join(scratch, 'large.ts'), largeEntity({ events: 20, fields: 50 }))
    writeFileSync(join(scratch, 'tsconfig.json'), projectFor(scratch))
    writeFileSync(join(scratch, 'package.json'), '{ "type": "module" }')

    const small = compile(MUST_COMPILE)
    const { errorLines, said, seconds } = compile(scratch, '--declaration')

    expect(errorLines, said).toHaveLength(1)
    expect(said).toContain("'field50' does not exist")
    // 0.4 s on an idle machine, where the small ones take 0.2 s; a busy machine slows down both.
    expect(seconds).toBeLessThan(Math.max(2, small.seconds * 6))
  })
})

/** The last `apply` reads one field too far. */
function largeEntity({ events, fields }: { readonly events: number; readonly fields: number }): string {
  const kinds = ["f64('°C')", 'i32()', "label({ oneOf: ['A', 'B'] })", 'text({ optional: true })', 'f64({ default: 0 })']
  const numbers = Array.from({ length: events }, (_, index) => index)
  const fieldsText = Array.from({ length: fields }, (_, index) => `field${index}: ${kinds[index % kinds.length]}`).join(', ')
  return `import { defineEntity, f64, i32, label, text } from '${join(root, 'src/entity/index.js')}'
export const Large = defineEntity({
  name: 'large',
  events: { ${numbers.map((number) => `Event${number}: { ${fieldsText} }`).join(',\n')} },
  commands: { ${numbers.map((number) => `command${number}: { ${fieldsText} }`).join(',\n')} },
  initial: () => ({ sum: 0 }),
  decide: {
    ${numbers.map((number) => `command${number}(_state, command, { emit }) { emit.Event${number}(command); return { sum: command.field0 } },`).join('\n')}
  },
  apply: {
    ${numbers.map((number) => `Event${number}(state, event) { state.sum += event.field0 + event.field1 + event.field4 + ${number === events - 1 ? `event.field${fields}` : 1} },`).join('\n')}
  },
})
`
}

function projectFor(folder: string): string {
  return JSON.stringify({
    extends: join(root, 'tsconfig.json'),
    compilerOptions: { rootDir: '/', noEmit: true, typeRoots: [join(root, 'node_modules/@types')] },
    include: [join(folder, '*.ts')],
    exclude: [],
  })
}
