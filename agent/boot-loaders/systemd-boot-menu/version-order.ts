/**
 * Which of two versions is newer, by the UAPI Group's version format specification
 * (https://uapi-group.org/specifications/specs/version_format_specification/).
 */

const IGNORED = /^[^0-9A-Za-z~^.-]+/;

/** Less than 0 where `a` is older, more where it is newer, 0 where they are of one age. */
export function compareVersions(a: string, b: string): number {
  let [left, right] = [a, b];
  for (;;) {
    left = left.replace(IGNORED, "");
    right = right.replace(IGNORED, "");
    for (const mark of ["~", "", "-", "^", "."]) {
      if (mark === "") {
        // Only a segment after a tilde is older than none.
        if (left === "" || right === "") return Math.sign(left.length - right.length);
        continue;
      }
      const marked = [left.startsWith(mark), right.startsWith(mark)];
      if (marked[0] !== marked[1]) return marked[0] ? -1 : 1;
      if (marked[0]) [left, right] = [left.slice(1), right.slice(1)];
    }
    const isNumber = /^\d/.test(left) || /^\d/.test(right);
    const segment = isNumber ? /^\d*/ : /^[A-Za-z]*/;
    const [mine = "", other = ""] = [segment.exec(left)?.[0], segment.exec(right)?.[0]];
    const order = isNumber ? compareNumbers(mine, other) : compareTexts(mine, other);
    if (order !== 0) return order;
    [left, right] = [left.slice(mine.length), right.slice(other.length)];
  }
}

/** Digits of any length; a number is newer than none. */
function compareNumbers(a: string, b: string): number {
  if (a === "" || b === "") return Math.sign(a.length - b.length);
  const [left, right] = [a, b].map((digits) => digits.replace(/^0+/, ""));
  return Math.sign((left ?? "").length - (right ?? "").length) || compareTexts(left ?? "", right ?? "");
}

/** By the numbers of their characters. */
export function compareTexts(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
