import { Command as Parser, CommanderError } from 'commander'
import { MillraceError } from '#base/errors.js'
import { packageVersion } from '#runtime/package-root.js'
import type { Command, Groups, Options } from './command.js'
import { Output } from './output.js'

export interface Program {
  readonly commands: readonly Command[]
  readonly groups: Groups
  readonly env: Readonly<Record<string, string | undefined>>
}

/** Parses the words after `millrace`, runs the command and answers the exit code: 0, 1 (it failed) or 2 (asked wrongly). */
export async function runProgram(words: readonly string[], program: Program): Promise<number> {
  const hasFlag = (flag: string): boolean => words.includes(flag)
  const output = new Output({
    isJson: hasFlag('--json'),
    isDebug: hasFlag('--debug') || (program.env['DEBUG'] ?? '') !== '',
    env: program.env,
  })
  let code = 0
  const parser = describeProgram(program, async (command, args, options) => {
    const run = await command.load()
    code = (await run(args, options, output)) ?? 0
  })
  try {
    await parser.parseAsync(words, { from: 'user' })
  } catch (error) {
    if (!(error instanceof CommanderError)) return output.fail(error)
    if (error.exitCode === 0) return 0
    return output.fail(usageError(error, parser))
  }
  return code
}

type Act = (command: Command, args: readonly string[], options: Options) => Promise<void>

function describeProgram(program: Program, act: Act): Parser {
  const root = newParser('millrace')
    .description('Event-sourced actors for the factory floor.')
    .version(packageVersion(), '-V, --version', 'print the version')
    .enablePositionalOptions()
    .usage('<command> [options]')
    .configureHelp({ subcommandTerm: termOf })
    .addHelpText('after', `\nmillrace <command> --help shows its options and an example.\nExit codes: 0 done, 1 failed, 2 asked wrongly.`)
  const groups = new Map<string, Parser>()
  for (const command of program.commands) {
    const [first = '', second] = command.name.split(' ')
    if (second === undefined) {
      describeCommand(root.command(first), command, act)
      continue
    }
    const group = groups.get(first) ?? silent(root.command(first)).description(program.groups[first] ?? '')
    groups.set(first, group)
    describeCommand(group.command(second), command, act)
  }
  return root
}

function describeCommand(parser: Parser, command: Command, act: Act): void {
  silent(parser).description(command.summary)
  if (command.args !== undefined) parser.arguments(command.args)
  for (const [flags, description, initial] of command.options ?? []) parser.option(flags, description, initial)
  if (command.hasJson === true) parser.option('--json', 'print JSON')
  parser.option('--debug', 'print the stack of an error')
  if (command.handsOn === true) parser.argument('[options...]').passThroughOptions().allowUnknownOption()
  const examples = command.examples.map(([line, purpose]) => `  millrace ${line}\n      ${purpose}`)
  parser.addHelpText('after', `\nExamples:\n${examples.join('\n')}`)
  parser.action(async (...values: unknown[]) => {
    const args = values
      .slice(0, -2)
      .flat()
      .filter((value) => value !== undefined) as string[]
    const options = values.at(-2) as Options
    checkValues(options)
    await act(command, args, options)
  })
}

/** An option that wants a value takes the next word, whatever it is: where that is another option, the value was forgotten. Throws ERR_USAGE. */
function checkValues(options: Options): void {
  for (const [name, value] of Object.entries(options)) {
    const taken = [value].flat().find((one) => typeof one === 'string' && /^--[a-z]/.test(one))
    if (taken === undefined) continue
    const flag = `--${name.replaceAll(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`
    throw new MillraceError('ERR_USAGE', {
      fact: `${flag} wants a value, and ${String(taken)} came`,
      action: 'operator',
      next: 'see its --help',
    })
  }
}

/** In the list of commands the options are left out: nearly every command has some. */
function termOf(command: Parser): string {
  if (command.commands.length > 0) return `${command.name()} ${command.commands.map((verb) => verb.name()).join('|')}`
  return [
    command.name(),
    ...command.registeredArguments.map((argument) => (argument.required ? `<${argument.name()}>` : `[${argument.name()}]`)),
  ].join(' ')
}

function newParser(name: string): Parser {
  return silent(new Parser(name))
}

/** Errors are thrown and told once, by Output; only help goes straight to the terminal. */
function silent(parser: Parser): Parser {
  return parser
    .exitOverride()
    .configureOutput({ writeErr: () => undefined })
    .helpOption('-h, --help', 'show this help')
    .helpCommand(false)
}

function usageError(error: CommanderError, parser: Parser): MillraceError {
  const fact =
    error.code === 'commander.help'
      ? 'say which command'
      : error.message
          .replace(/^error: /, '')
          .replace(/\s*\n\s*/g, ' ')
          .replace(/\.$/, '')
  const names = parser.commands.map((command) => command.name()).join(', ')
  return new MillraceError('ERR_USAGE', {
    fact,
    action: 'operator',
    next: error.code === 'commander.unknownCommand' || error.code === 'commander.help' ? `one of ${names}` : 'see its --help',
    cause: error,
  })
}
