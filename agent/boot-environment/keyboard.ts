import { type ChildProcessByStdio, spawn } from "node:child_process";
import { createInterface } from "node:readline";
import type { Readable } from "node:stream";

/**
 * Lines typed at any of several terminals. A terminal that is missing or breaks delivers none. A process of
 * its own reads each terminal: a read that waits for a key would block one of the few threads that file
 * access and compression need.
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
