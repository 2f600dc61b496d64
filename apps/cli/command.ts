import type { Output } from './output.js'

/** What the parser found for the options of a command, by camel-case name; a repeatable one is a list. */
export type Options = Readonly<Record<string, string | boolean | readonly string[] | undefined>>

/**
 * The body of a command: `run<Name>` in a file of its own. Answers its exit code, 0 when it answers none; throws MillraceError for what went
 * wrong (exit code 1), with ERR_USAGE for what was asked wrongly (2). Leaves nothing open, so that the process ends by itself.
 */
export type Run = (args: readonly string[], options: Options, output: Output) => Promise<number | undefined>

/** A command as the parser and the help know it, without its code: that is loaded when the command runs. */
export interface Command {
  /** One word, or group and verb: `log verify`. */
  readonly name: string
  /** An imperative without a full stop, at most 80 characters. */
  readonly summary: string
  /** Of the positional arguments, as commander has it: `<file> [entity...]`. */
  readonly args?: string
  /** Flags and description, as commander has it: `['--times <n>', 'how often']`. */
  readonly options?: readonly (readonly [flags: string, description: string, initial?: string])[]
  /** Whole command lines after `millrace`, with what each is for. */
  readonly examples: readonly [Example, ...Example[]]
  /** Whether there is a `--json`. */
  readonly hasJson?: boolean
  /** Options of their own program are handed on unparsed, after the first argument. */
  readonly handsOn?: boolean
  readonly load: () => Promise<Run>
}

export type Example = readonly [line: string, purpose: string]

/** What a word that has commands below it is about. */
export type Groups = Readonly<Record<string, string>>
