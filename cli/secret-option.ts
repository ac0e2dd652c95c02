import { readFileSync } from "node:fs";
import { type CliCall, textOption } from "./command.ts";
import { UsageError } from "./errors.ts";

export interface Secret {
  /** The option's name: `token` for `--token -`, `--token-file FILE` and `--token TOKEN`. */
  option: string;
  /** The environment variable. */
  variable: string;
  command?: string;
}

/** None of our secrets is longer. */
const LIMIT_BYTES = 16 * 1024;

/**
 * A secret from a file, standard input, the environment or the command line. Every user of the machine can
 * read the command line, so that one prints a warning. Returns `undefined` if none is given. Throws
 * `UsageError`. The file `-` is standard input.
 */
export function secretOption(call: CliCall, { option, variable, command }: Secret): string | undefined {
  const file = textOption(call, `${option}-file`);
  const given = textOption(call, option);
  if (file !== undefined && given !== undefined)
    throw new UsageError(`give --${option} or --${option}-file, not both`, command);
  if (file !== undefined) return read(file === "-" ? 0 : file, `--${option}-file`, command);
  if (given === "-") return read(0, `--${option} -`, command);
  if (given !== undefined) {
    call.terminal.err(
      `Warning: --${option} on the command line can be read by every user of this machine (ps). ` +
        `Use --${option}-file FILE, --${option} - (standard input) or ${variable}.\n`,
    );
    return checked(given, `--${option}`, command);
  }
  return call.environment[variable] || undefined;
}

function read(from: string | 0, option: string, command: string | undefined): string {
  let text: string;
  try {
    text = readFileSync(from, "utf8");
  } catch (error) {
    throw new UsageError(`${option}: ${error instanceof Error ? error.message : String(error)}`, command);
  }
  return checked(text.trim(), option, command);
}

function checked(secret: string, option: string, command: string | undefined): string {
  if (secret === "") throw new UsageError(`${option}: it is empty`, command);
  if (secret.length > LIMIT_BYTES || /[\s\0]/.test(secret))
    throw new UsageError(`${option} must hold one word and nothing else`, command);
  return secret;
}
