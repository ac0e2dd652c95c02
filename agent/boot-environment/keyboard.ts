import { type ChildProcessByStdio, spawn } from "node:child_process";
import { createInterface } from "node:readline";
import type { Readable } from "node:stream";

/**
 * Lines typed at any of several terminals. One that is not there, or breaks, gives none. Each is read by a
 * process of its own: a read that waits for a key would hold one of the few threads that files and
 * compression need.
 */
export class Keyboard {
  readonly #readers: ChildProcessByStdio<null, Readable, null>[];

  constructor(terminals: readonly string[], onLine: (line: string) => void) {
    this.#readers = terminals.map((path) => {
      const reader = spawn("cat", [path], { stdio: ["ignore", "pipe", "ignore"] });
      reader.on("error", () => {});
      createInterface({ input: reader.stdout }).on("line", onLine);
      return reader;
    });
  }

  close(): void {
    for (const reader of this.#readers) reader.kill();
  }
}
