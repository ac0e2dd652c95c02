/** The words of a command, for every value that its variables can have. */
import { type State, UNTOLD, type Values, valuesOf, withVariable } from "./state.ts";
import type { Word } from "./syntax.ts";

const MOST_ALTERNATIVES = 32;
/** The firmware, the network and GRUB's own core set these; their values are unknown here. */
const SET_BY_GRUB = /^(cmdpath|lockdown|shim_lock|fw_path|net_.*|pxe_.*|efi_.*)$/;

export interface Alternative {
  words: string[];
  /** The state in which the variables have the chosen values. */
  state: State;
}

export function alternativesOf(words: readonly Word[], state: State): Alternative[] {
  const names = new Set(
    words.flatMap((word) => word.flatMap((part) => ("variable" in part ? [part.variable] : []))),
  );
  let choices: { state: State; taken: Map<string, string | null> }[] = [{ state, taken: new Map() }];
  for (const name of names) {
    const values = lookUp(state, name);
    const isTooMuch = choices.length * values.size > MOST_ALTERNATIVES;
    choices = choices.flatMap((choice) =>
      [...(isTooMuch ? [UNTOLD] : values)].map((value) => ({
        state:
          values.size > 1 && !isTooMuch ? withVariable(choice.state, name, new Set([value])) : choice.state,
        taken: new Map(choice.taken).set(name, value),
      })),
    );
  }
  return choices.map(({ state: narrowed, taken }) => ({
    words: words.flatMap((word) => fieldsOf(word, (name) => taken.get(name) ?? "")),
    state: narrowed,
  }));
}

function lookUp(state: State, name: string): Values {
  if (name === "?") return new Set([state.status === undefined ? UNTOLD : state.status ? "0" : "1"]);
  if (name === "#") return new Set([String(state.parameters.length)]);
  if (name === "@" || name === "*") return new Set([state.parameters.join(" ")]);
  if (/^\d+$/.test(name)) return new Set([state.parameters[Number(name) - 1] ?? ""]);
  if (!state.variables.has(name) && SET_BY_GRUB.test(name)) return new Set([UNTOLD]);
  return valuesOf(state, name);
}

/**
 * An empty result if the word contains only empty variables; several words if an unquoted variable contains
 * spaces.
 */
function fieldsOf(word: Word, valueFor: (name: string) => string): string[] {
  const fields: string[] = [];
  let field: string | undefined;
  for (const part of word) {
    const value = "text" in part ? part.text : valueFor(part.variable);
    if ("text" in part || part.quoted) {
      field = (field ?? "") + value;
      continue;
    }
    const [first = "", ...rest] = value.split(/[ \t\n]+/);
    if (first !== "") field = (field ?? "") + first;
    for (const next of rest) {
      if (field !== undefined) fields.push(field);
      field = next === "" ? undefined : next;
    }
  }
  if (field !== undefined) fields.push(field);
  return fields;
}
