import { readdirSync, readFileSync } from 'node:fs'
import { basename, join, relative } from 'node:path'
import type { Source, TidyFinding } from './rooms.js'

export const FILE_LINES_MAX = 500

/** Names that collect what has no name of its own. */
const CATCH_ALL = /^(utils?|helpers?|commons?|managers?|types|misc)$/

/** What is wrong with the name, the length and the text of each source. */
export function checkFiles(sources: readonly Source[]): TidyFinding[] {
  return sources.flatMap((source) => [...nameFindings(source.path), ...textFindings(source)].map((what) => `${source.path}: ${what}`))
}

/** Which of the names in the root are not expected there. Dot-files are. */
export function checkTopLevel(names: readonly string[], allowed: readonly string[]): TidyFinding[] {
  return names.filter((name) => !name.startsWith('.') && !allowed.includes(name)).map((name) => `${name}: is not a top-level entry`)
}

/** Every text of ours below the given folders, by path. Results, fixtures and what is generated are data, not sources. */
export function readSources(root: string, folders: readonly string[]): Source[] {
  return folders.flatMap((folder) =>
    readdirSync(join(root, folder), { withFileTypes: true, recursive: true })
      .filter((entry) => entry.isFile() && /\.(ts|mjs|js|cc|c|h|feature)$/.test(entry.name))
      .map((entry) => relative(root, join(entry.parentPath, entry.name)))
      .filter((path) => !/(^|\/)(node_modules|build|prebuilds|results|fixtures|dist)\//.test(path))
      .sort()
      .map((path) => ({ path, text: readFileSync(join(root, path), 'utf8') })),
  )
}

function nameFindings(path: string): TidyFinding[] {
  const findings: TidyFinding[] = []
  for (const part of path.split('/')) {
    const name = part.replace(/^\./, '').replace(/\..*$/, '')
    if (!/^[a-z0-9]+(-[a-z0-9]+)*$/.test(name)) findings.push(`${part} is not kebab-case`)
    if (CATCH_ALL.test(name) && !path.startsWith(`test/${name}/`)) findings.push(`${part} names no idea`)
  }
  return findings
}

function textFindings({ path, text }: Source): TidyFinding[] {
  const findings: TidyFinding[] = []
  const lines = text.split('\n').length - (text.endsWith('\n') ? 1 : 0)
  if (lines > FILE_LINES_MAX) findings.push(`has ${lines} lines, more than ${FILE_LINES_MAX}`)
  // Brackets keep the patterns from finding themselves.
  if (/\b(?:TO[D]O|FIXM[E]|XX[X])\b/.test(text)) findings.push('has something left to do')
  if (/(?:^|[\s'"`(])\/(?:wor[k]|hom[e]|roo[t])\//m.test(text)) findings.push("names a path of somebody's machine")
  if (/\b(?:test|it|describe|suite)\.(?:onl[y]|ski[p]|tod[o]|fail[s])\b(?!If)/.test(text)) findings.push('runs only some of its tests')
  // Files share what they import, so that only the first of them would have the hook.
  if (!path.endsWith('.test.ts') && /^(?:before|after)(?:Each|All)\(/m.test(text)) findings.push('hooks into tests when it is imported')
  if (basename(path) === 'index.ts' && !onlyReExports(text)) findings.push('does more than re-export')
  return findings
}

function onlyReExports(text: string): boolean {
  const code = text.replace(/\/\*[\s\S]*?\*\//g, '').replace(/\/\/.*$/gm, '')
  const rest = code.replace(/^\s*export\s+(?:type\s+)?(?:\*(?:\s+as\s+\w+)?|\{[^}]*\})\s+from\s+'[^']+';?/gm, '')
  return rest.trim() === ''
}
