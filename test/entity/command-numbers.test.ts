import { describe, expect, test } from 'vitest'
import { bool, defineEntity, f64, i32, PlantModel } from '#entity/index.js'
import { checkCommands } from '#entity/command-numbers.js'
import type { Fields } from '#schema/index.js'

describe('the numbers of commands, once a running plant has other code', () => {
  test('stay what they were, and what is new comes behind', () => {
    const before = plantWith({ count: { n: i32() } })
    const after = plantWith({ add: { n: i32() }, count: { n: i32() } })

    after.number([before.schemas, after.schemas])

    expect(numberOf(after, 'count')).toBe(numberOf(before, 'count'))
    expect(numberOf(after, 'add')).toBe(before.commands.length)
  })

  test('stand for one shape each: the former one is read as the present one', () => {
    const before = plantWith({ count: { n: i32() } })
    const after = plantWith({ count: { n: f64(), note: i32({ default: 7 }) } })

    after.number([before.schemas, after.schemas])

    const former = after.commands[numberOf(before, 'count')]
    expect(former?.codec.fields.map(({ kind }) => kind)).toEqual(['i32'])
    expect(former?.read?.({ n: 3 })).toEqual({ n: 3, note: 7 })
    expect(numberOf(after, 'count')).toBe(before.commands.length)
    expect(after.commands[numberOf(after, 'count')]?.read).toBeUndefined()
  })

  test.each<[string, Readonly<Record<string, Fields>>, RegExp]>([
    ['is gone', { add: { n: i32() } }, /command="?counter\.count"? how="?it is gone/],
    ['has lost a field', { count: {} }, /field="?n"? how="?it is gone/],
    ['asks for a new field', { count: { n: i32(), more: i32() } }, /field="?more"?/],
    ['has a field of a narrower kind', { count: { n: bool() } }, /field="?n"? how="?it was i32, it is bool/],
  ])('cannot be given where a command %s', (_, commands, message) => {
    const before = plantWith({ count: { n: i32() } })
    const after = plantWith(commands)

    expect(() => checkCommands([before.schemas], after.schemas)).toThrow(message)
    expect(() => after.number([before.schemas, after.schemas])).toThrow(message)
  })
})

function plantWith(commands: Readonly<Record<string, Fields>>): PlantModel {
  const decide = Object.fromEntries(Object.keys(commands).map((name) => [name, () => undefined]))
  const definition = { name: 'counter', events: {}, commands, initial: () => ({}), decide, apply: {} }
  return new PlantModel([defineEntity(definition as unknown as Parameters<typeof defineEntity>[0]) as never])
}

function numberOf(plant: PlantModel, command: string): number {
  const [model] = plant.models
  return model === undefined ? -1 : plant.commandNumber(model, command)
}
