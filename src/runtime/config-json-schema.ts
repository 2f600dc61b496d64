import { readFileSync } from 'node:fs'
import { isMap, isScalar, type Node, parseDocument } from 'yaml'
import { z } from 'zod'
import { configSchema } from './config-schema.js'
import { defaultsFile } from './config.js'

interface JsonSchema {
  properties?: Record<string, JsonSchema>
  [keyword: string]: unknown
}

/**
 * The JSON Schema of millrace.yaml, for editors: bounds from the zod schema, descriptions and defaults from the comments and the values of
 * config/default.yaml. Nothing is required, since every knob has a default. config/config.schema.json is this, as text.
 */
export function configJsonSchema(): JsonSchema {
  const schema = z.toJSONSchema(configSchema, { io: 'input' }) as JsonSchema
  describe(schema, parseDocument(readFileSync(defaultsFile(), 'utf8')).contents)
  return { ...schema, title: 'millrace.yaml' }
}

function describe(schema: JsonSchema, node: Node | null): void {
  delete schema['required']
  delete schema['secret']
  if (!isMap(node)) return
  for (const [index, pair] of node.items.entries()) {
    const key = pair.key as Node
    const property = schema.properties?.[isScalar(key) ? String(key.value) : '']
    if (property === undefined) continue
    // The comment above the first key of a map belongs to the map, as far as the parser can tell.
    const comment = key.commentBefore ?? (index === 0 ? node.commentBefore : undefined)
    if (typeof comment === 'string')
      property['description'] = (comment.split(/\n\s*\n/).at(-1) ?? comment).replaceAll(/\s*\n\s*/g, ' ').trim()
    const value = pair.value as Node | null
    if (isScalar(value)) property['default'] = value.value
    describe(property, value)
  }
}
