import { appendFileSync, mkdirSync, renameSync, statSync } from "node:fs";
import { join } from "node:path";

export interface LogLine {
  level: "INFO" | "ERROR";
  message: unknown;
  requestId?: string;
}

/** Where the output of functions and services goes. */
export interface LogSink {
  write(source: string, line: LogLine): void;
}

/**
 * One file of JSON lines per source, `<directory>/<source>.jsonl`. At `rotateBytes` it is renamed to
 * `.1.jsonl` and replaces the previous one, so a source never takes more than twice that size.
 */
export class LogFiles implements LogSink {
  readonly #directory: string;
  readonly #now: () => number;
  readonly #rotateBytes: number;
  readonly #sizes = new Map<string, number>();

  constructor(options: { directory: string; now: () => number; rotateBytes?: number }) {
    this.#directory = options.directory;
    this.#now = options.now;
    this.#rotateBytes = options.rotateBytes ?? 4 * 1024 * 1024;
    mkdirSync(this.#directory, { recursive: true });
  }

  write(source: string, line: LogLine): void {
    const path = join(this.#directory, `${source.replace(/[^a-zA-Z0-9-_.]/g, "_")}.jsonl`);
    const text = `${JSON.stringify({ time: new Date(this.#now()).toISOString(), ...line })}\n`;
    let size = this.#sizes.get(path) ?? statSync(path, { throwIfNoEntry: false })?.size ?? 0;
    if (size >= this.#rotateBytes) {
      renameSync(path, path.replace(/\.jsonl$/, ".1.jsonl"));
      size = 0;
    }
    appendFileSync(path, text);
    this.#sizes.set(path, size + Buffer.byteLength(text));
  }
}
