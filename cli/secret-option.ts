import { readFileSync } from "node:fs";
import { type CliCall, textOption } from "./command.ts";
import { UsageError } from "./errors.ts";

export interface Secret {
  /** The option: `token` for `--token -`, `--token-file FILE` and `--token TOKEN`. */
  option: string;
  /** The variable of the environment. */
  variable: string;
  command?: string;
}

/** No secret of ours is longer. */
const LIMIT_BYTES = 16 * 1024;

/**
 * A secret from a file, standard input, or the environment; or from the command line, which all users of the
 * machine can read: then it says so. Returns `undefined` if none is given. Throws `UsageError`.
 */
export function secretOption(call: CliCall, { option, variable, command }: Secret): string | undefined {
  const file = textOption(call, `${option}-file`);
  const given = textOption(call, option);
  if (file !== undefined && given !== undefined)
    throw new UsageError(`give --${option} or --${option}-file, not both`, command);
  if (file !== undefined) return read(file, `--${option}-file`, command);
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
  if (secret === "") throw new UsageError(`${option}: there is nothing in it`, command);
  if (secret.length > LIMIT_BYTES || /[\s\0]/.test(secret))
    throw new UsageError(`${option}: one word is wanted, and nothing else`, command);
  return secret;
}
