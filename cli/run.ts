import { failureOf } from "#shared/errors.ts";
import { ApiError } from "#shared/protocol/client.ts";
import { type CliCall, type CliCommand, commandLines, helpOf, parseCall } from "./command.ts";
import { EXIT, exitCodeOf, UsageError } from "./errors.ts";
import { findCommand, isGroup, membersOf, unknownCommand } from "./find-command.ts";
import { invalidOptions } from "./invalid-options.ts";
import { harmless, type Terminal } from "./terminal.ts";
import { version } from "./version.ts";

/**
 * Runs one command line of a program with these commands, and returns its exit code. Prints an error once.
 */
export async function run(
  words: string[],
  commands: readonly CliCommand[],
  outside: Pick<CliCall, "environment" | "terminal">,
): Promise<number> {
  let printed = false;
  const terminal: Terminal = {
    ...outside.terminal,
    out: (text) => {
      printed = true;
      outside.terminal.out(text);
    },
    outBytes: (bytes) => {
      printed = true;
      return outside.terminal.outBytes(bytes);
    },
  };
  const found = findCommand(words, commands);
  try {
    if (words.length === 0) {
      terminal.err(overview(commands));
      return EXIT.usage;
    }
    const general = found ? undefined : generalAnswer(words, commands);
    if (general !== undefined) {
      terminal.out(general);
      return EXIT.done;
    }
    if (!found) throw unknownCommand(words, commands);
    const call = parseCall(found.command, found.rest, { ...outside, terminal });
    if (call === "help") terminal.out(helpOf(found.command, membersOf(found.command.name, commands)));
    else await found.command.run(call);
    return EXIT.done;
  } catch (thrown) {
    const error = found ? invalidOptions(thrown, found.command) : thrown;
    const { message, hint, ...failure } = failureOf(error);
    const name = error instanceof ApiError ? error.problem.name : failure.name;
    // With --json, a failure is one JSON document, too.
    if (words.includes("--json") && !printed)
      terminal.out(`${JSON.stringify({ error: { name, message, hint } })}\n`);
    // By its name, too, an operator finds it in the documents.
    const said = error instanceof UsageError ? message : `${message} (${name})`;
    terminal.err(harmless(`${said}\n${hint ? `  ${hint}\n` : ""}`));
    if (failure.name === "UnexpectedError" && error instanceof Error)
      terminal.err(harmless(`${error.stack}\n`));
    return exitCodeOf(error);
  }
}

/** Of what needs no command: the overview, the commands of a group, or the version. */
function generalAnswer(words: readonly string[], commands: readonly CliCommand[]): string | undefined {
  const isHelp = (word: string | undefined) => word === "--help" || word === "-h" || word === "help";
  const [first, second, ...more] = words;
  if (first === "--version" && second === undefined) return `${version}\n`;
  // `help cutover create` is `cutover create --help`.
  if (first === "help" && second !== undefined) {
    const asked = findCommand(words.slice(1), commands);
    if (asked) return helpOf(asked.command, membersOf(asked.command.name, commands));
    if (isGroup(second, commands)) return groupHelp(second, commands);
    throw unknownCommand(words.slice(1), commands);
  }
  if (isHelp(first)) return overview(commands);
  if (first !== undefined && isHelp(second) && more.length === 0 && isGroup(first, commands))
    return groupHelp(first, commands);
  return undefined;
}

function groupHelp(group: string, commands: readonly CliCommand[]): string {
  const lines = commandLines(membersOf(group, commands));
  return [...lines, "", `Each has --help: causeway ${group} COMMAND --help`, ""].join("\n");
}

function overview(commands: readonly CliCommand[]): string {
  return [
    "causeway: turns running servers into virtual machines and keeps standby copies of them",
    "",
    "Usage: causeway COMMAND [options]",
    "",
    ...commandLines(commands),
    "",
    "Each command has --help with examples, and --json. `causeway --version` shows the version.",
    "SOURCE, TARGET and AGENT are ids, or the names that `causeway sources` and `causeway targets` show.",
    "Exit codes: 0 done, 1 failed, 2 wrong usage, 3 not found, 4 refused by policy or state.",
    "",
  ].join("\n");
}
