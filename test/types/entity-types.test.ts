import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { compile, type Compiled, markedLines, root } from './compile.js'

const MUST_COMPILE = join(root, 'test/types/must-compile')
const MUST_NOT_COMPILE = join(root, 'test/types/must-not-compile')

let scratch = ''

beforeAll(() => {
  scratch = mkdtempSync(join(tmpdir(), 'millrace-types-'))
})

afterAll(() => {
  rmSync(scratch, { recursive: true })
})

describe('an entity type that is right', () => {
  let right: Compiled

  beforeAll(() => {
    right = compile(MUST_COMPILE, '--noEmit', 'false', '--emitDeclarationOnly', '--outDir', scratch)
  })

  test('compiles', () => {
    expect(right.said).toBe('')
  })

  test('can be exported with its declaration, fields by name', () => {
    expect(readFileSync(join(scratch, 'test/types/must-compile/press.d.ts'), 'utf8')).toMatch(
      /Sampled: \{\s+temperature: .*Field<number, "required">/,
    )
  })

  test('of 20 events with 50 fields each compiles within a bound, its misspelt fields found', () => {
    const folder = join(scratch, 'large')
    mkdirSync(folder)
    writeFileSync(join(folder, 'large.ts'), largeEntity({ events: 20, fields: 50 }))
    writeFileSync(join(folder, 'tsconfig.json'), projectFor(folder))
    writeFileSync(join(folder, 'package.json'), '{ "type": "module" }')

    const { errorLines, said, seconds } = compile(folder, '--declaration')

    expect(errorLines, said).toHaveLength(1)
    expect(said).toContain("'field50' does not exist")
    // 0.4 s on an idle machine, where the small ones take 0.2 s; a busy machine slows down both.
    expect(seconds).toBeLessThan(Math.max(2, right.seconds * 6))
  })
})

describe('an entity type that is wrong', () => {
  let wrong: Compiled

  beforeAll(() => {
    wrong = compile(MUST_NOT_COMPILE)
  })

  test('does not compile where it is wrong, and only there', () => {
    expect(markedLines(MUST_NOT_COMPILE).length).toBeGreaterThan(40)
    expect(wrong.errorLines).toEqual(markedLines(MUST_NOT_COMPILE))
  })

  test('hears that decide must not return a promise', () => {
    expect(wrong.said).toContain('decide must not return a promise')
    expect(wrong.said).toContain('there is no command of this name')
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
