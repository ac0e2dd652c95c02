import type { CliCommand } from "./command.ts";
import { UsageError } from "./errors.ts";

export function findCommand(
  words: readonly string[],
  commands: readonly CliCommand[],
): { command: CliCommand; rest: string[] } | undefined {
  for (const command of commands) {
    const name = command.name.split(" ");
    if (name.every((word, index) => words[index] === word))
      return { command, rest: words.slice(name.length) };
  }
  return undefined;
}

/** The commands whose names begin with this word: `cutover create` and so on of `cutover`. */
export function membersOf(word: string, commands: readonly CliCommand[]): CliCommand[] {
  return commands.filter(({ name }) => name.startsWith(`${word} `));
}

export function isGroup(word: string, commands: readonly CliCommand[]): boolean {
  return membersOf(word, commands).length > 0;
}

/** Says what there is instead. */
export function unknownCommand(words: readonly string[], commands: readonly CliCommand[]): UsageError {
  const [first = "", second] = words;
  if (first.startsWith("-"))
    return new UsageError(`the command comes first, then its options: causeway COMMAND ${first}`);
  const members = membersOf(first, commands);
  if (members.length > 0) {
    const asked = second === undefined || second.startsWith("-") ? first : `${first} ${second}`;
    const names = members.map(({ name }) => name).join(", ");
    return new UsageError(`unknown command: ${asked}; there are ${names}`, first);
  }
  const near = commands.map(({ name }) => name).filter((name) => distance(name, first) <= NEAR);
  const meant = near.length > 0 ? `; did you mean ${near.join(" or ")}?` : "";
  return new UsageError(`unknown command: ${first}${meant}`);
}

/** Typing mistakes in one word. */
const NEAR = 2;

/** How many letters have to be added, left out or replaced to make one word of the other. */
function distance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, index) => index);
  for (const [at, letter] of [...a].entries()) {
    const above = row;
    row = [at + 1];
    for (let index = 0; index < b.length; index++)
      row.push(
        Math.min(
          (above[index + 1] ?? 0) + 1,
          (row[index] ?? 0) + 1,
          (above[index] ?? 0) + (b[index] === letter ? 0 : 1),
        ),
      );
  }
  return row[b.length] ?? 0;
}
