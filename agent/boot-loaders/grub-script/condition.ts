/** GRUB's `test` command: `undefined` if the answer depends on something unknown. */
import { isTold } from "./state.ts";

export type Truth = boolean | undefined;

/** What a path refers to, for the tests of files. */
export type PathKind = "file" | "empty-file" | "folder" | "absent" | undefined;

const not = (a: Truth): Truth => (a === undefined ? undefined : !a);
const and = (a: Truth, b: Truth): Truth =>
  a === false || b === false ? false : a === undefined || b === undefined ? undefined : true;
const or = (a: Truth, b: Truth): Truth => not(and(not(a), not(b)));

const NUMERIC: Readonly<Record<string, (a: number, b: number) => boolean>> = {
  "-eq": (a, b) => a === b,
  "-ne": (a, b) => a !== b,
  "-lt": (a, b) => a < b,
  "-le": (a, b) => a <= b,
  "-gt": (a, b) => a > b,
  "-ge": (a, b) => a >= b,
};
const TEXTUAL: Readonly<Record<string, (a: string, b: string) => boolean>> = {
  "=": (a, b) => a === b,
  "==": (a, b) => a === b,
  "!=": (a, b) => a !== b,
  "<": (a, b) => a < b,
  "<=": (a, b) => a <= b,
  ">": (a, b) => a > b,
  ">=": (a, b) => a >= b,
};
const OF_FILES: Readonly<Record<string, readonly PathKind[]>> = {
  "-e": ["file", "empty-file", "folder"],
  "-f": ["file", "empty-file"],
  "-s": ["file"],
  "-d": ["folder"],
};

/** `words` without the closing bracket. */
export function truthOf(words: readonly string[], kindOf: (path: string) => PathKind): Truth {
  let at = 0;
  const peek = (ahead = 0) => words[at + ahead];

  function either(): Truth {
    let truth = both();
    while (peek() === "-o") {
      at++;
      truth = or(truth, both());
    }
    return truth;
  }

  function both(): Truth {
    let truth = one();
    while (peek() === "-a") {
      at++;
      truth = and(truth, one());
    }
    return truth;
  }

  function one(): Truth {
    const first = peek();
    if (first === undefined) return false;
    const operator = peek(1);
    const second = peek(2);
    if (operator !== undefined && second !== undefined) {
      const textual = TEXTUAL[operator];
      const numeric = NUMERIC[operator];
      if (textual || numeric) {
        at += 3;
        if (!isTold(first) || !isTold(second)) return undefined;
        return textual ? textual(first, second) : numeric?.(numberOf(first), numberOf(second));
      }
    }
    if (first === "!") {
      at++;
      return not(one());
    }
    if (first === "(") {
      at++;
      const truth = either();
      if (peek() === ")") at++;
      return truth;
    }
    return ofOne(first, operator);
  }

  function ofOne(first: string, operand: string | undefined): Truth {
    const kinds = OF_FILES[first];
    if (operand !== undefined && (kinds || first === "-n" || first === "-z")) {
      at += 2;
      if (!kinds) return isTold(operand) ? (operand === "") === (first === "-z") : undefined;
      const kind = isTold(operand) ? kindOf(operand) : undefined;
      return kind === undefined ? undefined : kinds.includes(kind);
    }
    at++;
    return isTold(first) ? first !== "" : undefined;
  }

  const truth = either();
  // An expression that this reader does not know is not decided.
  return at < words.length ? undefined : truth;
}

function numberOf(text: string): number {
  return Number.parseInt(text, 10) || 0;
}
