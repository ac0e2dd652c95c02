/** Where the CLI writes: documents to standard output, everything else to standard error. */
export interface Terminal {
  out(text: string): void;
  err(text: string): void;
  /** Whether a person watches standard error, so that a progress line may be rewritten. */
  interactive: boolean;
  columns: number;
}

/** The process's own streams. */
export function processTerminal(): Terminal {
  return {
    out: (text) => void process.stdout.write(text),
    err: (text) => void process.stderr.write(text),
    interactive: process.stderr.isTTY === true,
    columns: process.stderr.columns ?? 100,
  };
}

/** One JSON document, or what a person reads. */
export function print(terminal: Terminal, json: boolean, document: unknown, text: () => string): void {
  terminal.out(json ? `${JSON.stringify(document)}\n` : `${harmless(text())}\n`);
}

/**
 * The text without control characters other than line ends, and without those that turn the direction of
 * writing: agents name themselves and their disks, and must not steer the terminal.
 */
export function harmless(text: string): string {
  return text.replace(/(?!\n)[\p{Cc}\p{Bidi_Control}\p{Zl}\p{Zp}]/gu, "\ufffd");
}

/** The same for what an agent may have sent and what is shown in one line: it must not add one of its own. */
export function oneLine(text: string): string {
  return harmless(text).replaceAll("\n", " ");
}

/** Rows as aligned columns under a heading; `none` when there are no rows. */
export function table(heading: string[], untrusted: string[][], none: string): string {
  if (untrusted.length === 0) return none;
  const rows = untrusted.map((row) => row.map(oneLine));
  const widths = heading.map((title, column) =>
    Math.max(title.length, ...rows.map((row) => (row[column] ?? "").length)),
  );
  return [heading, ...rows]
    .map((row) =>
      row
        .map((cell, column) => cell.padEnd(widths[column] ?? 0))
        .join("  ")
        .trimEnd(),
    )
    .join("\n");
}
