import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { createWriteStream, type WriteStream } from "node:fs";
import { join } from "node:path";

/** The command line of this checkout. */
export const MAIN = join(import.meta.dirname, "../../cli/main.ts");

/**
 * A long-running `causeway` process whose log goes to a file; it can be killed like a real one. It ends when
 * the process that started it ends, even if that is killed.
 */
export class Daemon {
  readonly #child: ChildProcess;
  readonly #log: WriteStream;
  readonly #exit: Promise<unknown>;

  /** `main`: the command line's program. `enter`: the words that have a command run on another host. */
  constructor(words: string[], logPath: string, main: string = MAIN, enter: readonly string[] = []) {
    this.#log = createWriteStream(logPath, { flags: "a" });
    this.#child = spawn("setpriv", ["--pdeathsig", "TERM", ...enter, process.execPath, main, ...words], {
      stdio: ["ignore", "pipe", "pipe"],
    });
    this.#child.stderr?.pipe(this.#log, { end: false });
    this.#exit = once(this.#child, "exit");
  }

  get pid(): number {
    return this.#child.pid ?? 0;
  }

  get running(): boolean {
    return this.#child.exitCode === null && this.#child.signalCode === null;
  }

  /** The first line on standard output; rejects if the process ends without one. */
  async firstLine(): Promise<string> {
    let text = "";
    const ended = this.#exit.then(() => {
      throw new Error(`the process ended before it was ready; see ${String(this.#log.path)}`);
    });
    const line = (async () => {
      for await (const part of this.#child.stdout ?? []) {
        text += String(part);
        const end = text.indexOf("\n");
        if (end >= 0) {
          this.#child.stdout?.resume();
          return text.slice(0, end);
        }
      }
      return ended;
    })();
    return Promise.race([line, ended]);
  }

  /** Ends it and waits until it is gone; gives its exit code, `null` if the signal ended it. */
  async stop(signal: NodeJS.Signals = "SIGTERM"): Promise<number | null> {
    if (this.running) this.#child.kill(signal);
    await this.#exit;
    this.#log.end();
    return this.#child.exitCode;
  }
}
