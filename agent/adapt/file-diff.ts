/** Lines around a change that are shown with it. */
const CONTEXT = 2;
/** A longer part is shown whole instead of line by line: comparing takes the square of it. */
const MOST_COMPARED = 2000;

/** What changed in a file, as `diff -u` shows it, without file names. Bytes that are no text are counted. */
export function fileDiff(before: Buffer | undefined, after: Buffer | undefined): string {
  const [old, now] = [linesOf(before), linesOf(after)];
  if (!old || !now) return `${sizeOf(before)} → ${sizeOf(after)}`;
  const shared = Math.min(old.length, now.length);
  let start = 0;
  while (start < shared && old[start] === now[start]) start++;
  let end = 0;
  while (end < shared - start && old[old.length - 1 - end] === now[now.length - 1 - end]) end++;
  const middle = changedLines(old.slice(start, old.length - end), now.slice(start, now.length - end));
  if (middle.length === 0) return "";
  const first = Math.max(0, start - CONTEXT);
  return [
    `@@ line ${first + 1}`,
    ...old.slice(first, start).map((line) => ` ${line}`),
    ...middle,
    ...old.slice(old.length - end, old.length - end + CONTEXT).map((line) => ` ${line}`),
  ].join("\n");
}

/** By the longest common subsequence. */
function changedLines(old: readonly string[], now: readonly string[]): string[] {
  const removed = old.map((line) => `-${line}`);
  const added = now.map((line) => `+${line}`);
  if (old.length > MOST_COMPARED || now.length > MOST_COMPARED) return [...removed, ...added];
  const width = now.length + 1;
  const common = new Uint16Array((old.length + 1) * width);
  const at = (row: number, column: number) => common[row * width + column] ?? 0;
  for (let row = old.length - 1; row >= 0; row--)
    for (let column = now.length - 1; column >= 0; column--)
      common[row * width + column] =
        old[row] === now[column]
          ? at(row + 1, column + 1) + 1
          : Math.max(at(row + 1, column), at(row, column + 1));
  const lines: string[] = [];
  let [row, column] = [0, 0];
  while (row < old.length || column < now.length) {
    if (row < old.length && column < now.length && old[row] === now[column]) {
      lines.push(` ${old[row++]}`);
      column++;
    } else if (column >= now.length || (row < old.length && at(row + 1, column) >= at(row, column + 1)))
      lines.push(removed[row++] ?? "");
    else lines.push(added[column++] ?? "");
  }
  return lines;
}

/** `undefined` for what is no text. */
function linesOf(content: Buffer | undefined): string[] | undefined {
  if (content === undefined || content.length === 0) return [];
  if (content.includes(0)) return undefined;
  return content.toString("utf8").replace(/\n$/, "").split("\n");
}

function sizeOf(content: Buffer | undefined): string {
  return content === undefined ? "absent" : `${content.length} bytes`;
}
