import { failureOf } from "#shared/errors.ts";
import { type CliCall, type CliCommand, helpOf, parseCall } from "./command.ts";
import { EXIT, exitCodeOf, UsageError } from "./errors.ts";
import { harmless, type Terminal } from "./terminal.ts";

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
  try {
    const [first] = words;
    if (first === undefined || first === "--help" || first === "-h" || first === "help") {
      (first === undefined ? terminal.err : terminal.out)(overview(commands));
      return first === undefined ? EXIT.usage : EXIT.done;
    }
    const found = findCommand(words, commands);
    if (!found) throw new UsageError(`unknown command: ${first}`);
    const call = parseCall(found.command, found.rest, { ...outside, terminal });
    if (call === "help") terminal.out(helpOf(found.command));
    else await found.command.run(call);
    return EXIT.done;
  } catch (error) {
    const { name, message, hint } = failureOf(error);
    // With --json, a failure is one JSON document, too.
    if (words.includes("--json") && !printed)
      terminal.out(`${JSON.stringify({ error: { name, message, hint } })}\n`);
    terminal.err(harmless(`${message}\n${hint ? `  ${hint}\n` : ""}`));
    if (name === "UnexpectedError" && error instanceof Error) terminal.err(harmless(`${error.stack}\n`));
    return exitCodeOf(error);
  }
}

function findCommand(
  words: string[],
  commands: readonly CliCommand[],
): { command: CliCommand; rest: string[] } | undefined {
  for (const command of commands) {
    const name = command.name.split(" ");
    if (name.every((word, index) => words[index] === word))
      return { command, rest: words.slice(name.length) };
  }
  return undefined;
}

function overview(commands: readonly CliCommand[]): string {
  const width = Math.max(...commands.map((command) => command.name.length)) + 2;
  return [
    "causeway: turns running servers into virtual machines and keeps standby copies of them",
    "",
    "Usage: causeway COMMAND [options]",
    "",
    ...commands.map((command) => `  ${command.name.padEnd(width)}${command.summary}`),
    "",
    "Each command has --help with examples, and --json.",
    "Exit codes: 0 done, 1 failed, 2 wrong usage, 3 not found, 4 refused by policy or state.",
    "",
  ].join("\n");
}
