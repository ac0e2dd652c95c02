/** Reading and writing the environment block. */
import { environmentVariables } from "../grub-environment.ts";
import { lookAt } from "./files.ts";
import { type CommandCall, type Flow, withEvent } from "./run.ts";
import { type State, type Values, valuesOf, withVariable } from "./state.ts";

const DEFAULT_FILE = "grubenv";

/** `load_env [-f FILE] [NAME…]`: without names, every variable of the block. */
export function loadEnvironment({ run, words, state }: CommandCall): Flow {
  const { path, names } = argumentsOf(words, state);
  const file = path === undefined ? undefined : lookAt(run.world.files, state, path);
  if (file && file.kind !== "file") return { live: [{ ...state, status: false }] };
  if (!file) {
    return {
      live: [
        withEvent({ ...state, status: undefined }, "untold", "load_env reads a block that is not found here"),
      ],
    };
  }
  const isWanted = (name: string) => names.length === 0 || names.includes(name);
  let loaded = state;
  for (const [name, value] of environmentVariables(file.bytes)) {
    if (isWanted(name)) loaded = withVariable(loaded, name, new Set([value]));
  }
  for (const [name, values] of run.world.mayBeSaved) {
    if (isWanted(name)) loaded = withVariable(loaded, name, new Set([...valuesOf(loaded, name), ...values]));
  }
  return { live: [{ ...loaded, status: true }] };
}

/** `save_env [-f FILE] NAME…`. Unset variables are removed from the block. */
export function saveEnvironment({ words, state }: CommandCall): Flow {
  const { names } = argumentsOf(words, state);
  const saved = new Map<string, Values>(state.saved);
  for (const name of names) saved.set(name, new Set([...(saved.get(name) ?? []), ...valuesOf(state, name)]));
  return { live: [{ ...state, saved, status: true }] };
}

function argumentsOf(words: readonly string[], state: State) {
  const names: string[] = [];
  let path: string | undefined;
  for (let at = 0; at < words.length; at++) {
    const word = words[at] ?? "";
    if (word === "-f" || word === "--file") path = words[++at];
    else if (word.startsWith("--file=")) path = word.slice("--file=".length);
    else if (!word.startsWith("-")) names.push(word);
  }
  const [prefix] = valuesOf(state, "prefix");
  return { path: path ?? (prefix ? `${prefix}/${DEFAULT_FILE}` : undefined), names };
}
