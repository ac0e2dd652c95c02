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
    throw new UsageError(error instanceof Error ? error.message : String(error), command.name);
  }
  if (parsed.values.help) return "help";
  const names: Record<string, string> = {};
  for (const [index, name] of command.positionals.entries()) {
    const value = parsed.positionals[index];
    if (value !== undefined) names[name.replace("?", "")] = value;
    else if (!name.endsWith("?")) throw new UsageError(`${name} is missing`, command.name);
  }
  const extra = parsed.positionals[command.positionals.length];
  if (extra !== undefined) throw new UsageError(`unexpected argument: ${extra}`, command.name);
  return { ...outside, values: parsed.values, arguments: names, json: parsed.values.json === true };
}

export function helpOf(command: CliCommand): string {
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
  ].join("\n");
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
  const value = textOption(call, name);
  if (value === undefined) return undefined;
  const [, count, unit] = /^(\d{1,6})([smhd])$/.exec(value) ?? [];
  if (!count || !unit)
    throw new UsageError(`--${name} must be like 90s, 30m, 2h or 7d, not ${value}`, command);
  return Number(count) * SECONDS_OF[unit as keyof typeof SECONDS_OF];
}

/** A time, in this machine's time zone unless it names another; as ISO 8601 in UTC. */
export function timeOption(call: CliCall, name: string, command: string): string | undefined {
  const value = textOption(call, name);
  if (value === undefined) return undefined;
  const ms = /^\d{4}-\d{2}-\d{2}T/.test(value) ? Date.parse(value) : Number.NaN;
  if (Number.isNaN(ms))
    throw new UsageError(
      `--${name} must be like 2030-12-31T02:30 or 2030-12-31T02:30Z, not ${value}`,
      command,
    );
  return new Date(ms).toISOString();
}

export function numberOption(call: CliCall, name: string, command: string): number | undefined {
  const value = textOption(call, name);
  if (value === undefined) return undefined;
  const number = Number(value);
  if (!Number.isSafeInteger(number) || number < 0)
    throw new UsageError(`--${name} must be a whole number, not ${value}`, command);
  return number;
}
