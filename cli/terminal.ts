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
 * The text without control characters other than line ends: agents name themselves and their disks, and must
 * not steer the terminal.
 */
export function harmless(text: string): string {
  return text.replace(/[^\P{Cc}\n]/gu, "\ufffd");
}

/** Rows as aligned columns under a heading; `none` when there are no rows. */
export function table(heading: string[], rows: string[][], none: string): string {
  if (rows.length === 0) return none;
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
