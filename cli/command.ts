import { type ParseArgsConfig, parseArgs } from "node:util";
import { UsageError } from "./errors.ts";
import type { Terminal } from "./terminal.ts";

type Options = NonNullable<ParseArgsConfig["options"]>;

/** One subcommand of `causeway`. */
export interface CliCommand {
  /** The words that select it: `repo check`. */
  name: string;
  summary: string;
  /** What follows `causeway`, as in `convert SOURCE --type TYPE …`. */
  usage: string;
  /** Each option's help, in the order of display. */
  help: [option: string, meaning: string][];
  examples: string[];
  options: Options;
  /** Names of the positional arguments; one that ends with `?` may be absent. */
  positionals: string[];
  run(call: CliCall): Promise<void>;
}

export interface CliCall {
  values: Record<string, string | boolean | string[] | undefined>;
  arguments: Record<string, string>;
  json: boolean;
  environment: Record<string, string | undefined>;
  terminal: Terminal;
}

/** The options that every command takes. */
const COMMON: Options = { json: { type: "boolean" }, help: { type: "boolean", short: "h" } };

/** Splits the words after the command's name into options and arguments; throws `UsageError`. */
export function parseCall(
  command: CliCommand,
  words: string[],
  outside: Pick<CliCall, "environment" | "terminal">,
): CliCall | "help" {
  let parsed: { values: CliCall["values"]; positionals: string[] };
  try {
    parsed = parseArgs({
      args: words,
      options: { ...COMMON, ...command.options },
      allowPositionals: true,
      strict: true,
    }) as typeof parsed;
  } catch (error) {
    throw new UsageError(optionProblem(error), command.name);
  }
  if (parsed.values.help) return "help";
  requireNoEmpty(parsed.values, command.name);
  const names: Record<string, string> = {};
  for (const [index, name] of command.positionals.entries()) {
    const value = parsed.positionals[index];
    if (value === "") throw new UsageError(`${name.replace("?", "")} is empty`, command.name);
    if (value !== undefined) names[name.replace("?", "")] = value;
    else if (!name.endsWith("?")) throw new UsageError(`${name} is missing`, command.name);
  }
  const extra = parsed.positionals[command.positionals.length];
  if (extra !== undefined) throw new UsageError(`unexpected argument: ${extra}`, command.name);
  return { ...outside, values: parsed.values, arguments: names, json: parsed.values.json === true };
}

/** Node's own words are about its function. */
function optionProblem(error: unknown): string {
  const { message = String(error), code = "" } = error as { message?: string; code?: string };
  const [, option = ""] = /'(?:-\w, )?(--?[^\s'=]+)/.exec(message) ?? [];
  if (code === "ERR_PARSE_ARGS_UNKNOWN_OPTION") return `unknown option: ${option}`;
  if (code !== "ERR_PARSE_ARGS_INVALID_OPTION_VALUE") return message;
  if (message.includes("does not take")) return `${option} takes no value`;
  return message.includes("ambiguous")
    ? `${option} needs a value; one that begins with a dash is given as ${option}=-VALUE`
    : `${option} needs a value`;
}

/** An empty value is most often a shell variable that is not set: to ignore it would do something else. */
function requireNoEmpty(values: CliCall["values"], command: string): void {
  const isEmpty = (value: unknown) => value === "" || (Array.isArray(value) && value.includes(""));
  const [name] = Object.entries(values).find(([, value]) => isEmpty(value)) ?? [];
  if (name !== undefined) throw new UsageError(`--${name} is empty`, command);
}

/** `others`: the commands whose names begin with its own. */
export function helpOf(command: CliCommand, others: readonly CliCommand[]): string {
  const width = Math.max(...command.help.map(([option]) => option.length), 6) + 2;
  const options = [
    ...command.help,
    ["--json", "print one JSON document on standard output"],
    ["--help", "show this help"],
  ].map(([option = "", meaning]) => `  ${option.padEnd(width)}${meaning}`);
  return [
    `causeway ${command.usage}`,
    "",
    command.summary,
    "",
    "Options:",
    ...options,
    "",
    "Examples:",
    ...command.examples.map((example) => `  ${example}`),
    "",
    ...(others.length > 0 ? ["See also:", ...commandLines(others), ""] : []),
  ].join("\n");
}

/** A line for each command: its name and summary. */
export function commandLines(commands: readonly CliCommand[]): string[] {
  const width = Math.max(...commands.map(({ name }) => name.length)) + 2;
  return commands.map(({ name, summary }) => `  ${name.padEnd(width)}${summary}`);
}

/** A text option; throws `UsageError` if it is required and missing. */
export function textOption(call: CliCall, name: string): string | undefined {
  const value = call.values[name];
  return typeof value === "string" ? value : undefined;
}

export function requiredOption(call: CliCall, name: string, command: string): string {
  const value = textOption(call, name);
  if (value === undefined || value === "") throw new UsageError(`--${name} is missing`, command);
  return value;
}

/** An option that must be one of a few words. */
export function choiceOption<const T extends readonly string[]>(
  call: CliCall,
  name: string,
  choices: T,
  command: string,
): T[number] | undefined {
  const value = textOption(call, name);
  if (value === undefined) return undefined;
  if (!choices.includes(value))
    throw new UsageError(`--${name} must be one of ${choices.join(", ")}, not ${value}`, command);
  return value;
}

/** A repeatable option whose values must each be one of a few words. Returns each word once. */
export function choicesOption<const T extends readonly string[]>(
  call: CliCall,
  name: string,
  choices: T,
  command: string,
): T[number][] {
  const values = (call.values[name] as string[] | undefined) ?? [];
  for (const value of values) {
    if (!choices.includes(value))
      throw new UsageError(`--${name} must be one of ${choices.join(", ")}, not ${value}`, command);
  }
  return [...new Set(values)];
}

const SECONDS_OF = { s: 1, m: 60, h: 3600, d: 86_400 } as const;

/** A duration such as `90s`, `30m`, `2h` or `7d`, in seconds. */
export function durationOption(call: CliCall, name: string, command: string): number | undefined {
  return secondsIn(call, name, { command, examples: "90s, 30m, 2h or 7d" });
}

/** A duration such as `5m`, or a whole number of seconds. */
export function secondsOption(call: CliCall, name: string, command: string): number | undefined {
  if (/^\d+$/.test(textOption(call, name) ?? "")) return numberOption(call, name, command);
  return secondsIn(call, name, { command, examples: "300 (seconds), 90s, 5m or 2h" });
}

function secondsIn(
  call: CliCall,
  name: string,
  { command, examples }: { command: string; examples: string },
): number | undefined {
  const value = textOption(call, name);
  if (value === undefined) return undefined;
  const [, count, unit] = /^(\d{1,6})([smhd])$/.exec(value) ?? [];
  if (!count || !unit) throw new UsageError(`--${name} must be like ${examples}, not ${value}`, command);
  return Number(count) * SECONDS_OF[unit as keyof typeof SECONDS_OF];
}

export function numberOption(call: CliCall, name: string, command: string): number | undefined {
  const value = textOption(call, name);
  if (value === undefined) return undefined;
  // Not what else JavaScript takes for a number, such as 0x10, 1e3 or nothing.
  if (!/^\d{1,15}$/.test(value))
    throw new UsageError(`--${name} must be a whole number, not ${value}`, command);
  return Number(value);
}
