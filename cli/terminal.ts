import { OutputClosedError } from "./errors.ts";

/** Where the CLI writes: documents to standard output, everything else to standard error. */
export interface Terminal {
  out(text: string): void;
  /** Bytes for standard output; resolves when there is room for more. */
  outBytes(bytes: Uint8Array): Promise<void>;
  err(text: string): void;
  /** Whether standard error is a terminal, so that a progress line can be rewritten. */
  interactive: boolean;
  columns: number;
}

/** The process's own streams. */
export function processTerminal(): Terminal {
  for (const stream of [process.stdout, process.stderr]) stream.on("error", requireReaderGone);
  return {
    out: (text) => void process.stdout.write(text),
    outBytes: (bytes) =>
      new Promise((resolve, reject) => {
        process.stdout.write(bytes, (error) => (error ? reject(asOutputClosed(error)) : resolve()));
      }),
    err: (text) => void process.stderr.write(text),
    interactive: process.stderr.isTTY === true,
    // A terminal that does not know its width, such as a serial console, says 0.
    columns: process.stderr.columns || 100,
  };
}

/** A reader that has seen enough, such as `head`, ends no command and changes no exit code. */
function requireReaderGone(error: NodeJS.ErrnoException): void {
  if (error.code !== "EPIPE") throw error;
}

function asOutputClosed(error: NodeJS.ErrnoException): Error {
  return error.code === "EPIPE" ? new OutputClosedError() : error;
}

/** Prints one JSON document, or text for people. */
export function print(terminal: Terminal, json: boolean, document: unknown, text: () => string): void {
  terminal.out(json ? `${JSON.stringify(document)}\n` : `${harmless(text())}\n`);
}

/**
 * The text without control characters other than line ends, and without those that change the writing
 * direction: agents choose their names and their disks' names, and must not control the terminal.
 */
export function harmless(text: string): string {
  return text.replace(/(?!\n)[\p{Cc}\p{Bidi_Control}\p{Zl}\p{Zp}]/gu, "\ufffd");
}

/** The same for text on one line that an agent may have sent: it must not add a line of its own. */
export function oneLine(text: string): string {
  return harmless(text).replaceAll("\n", " ");
}

/** Lines that an agent may have sent, under a title. */
export function titled(title: string, text: string): string[] {
  return [`--- ${title}`, ...text.split("\n")].map(oneLine);
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
