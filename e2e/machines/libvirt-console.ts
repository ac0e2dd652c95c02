import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { CONSOLE_TIMEOUT_MS, type SerialConsole, waitForText } from "./console-text.ts";

/** `virsh console` of a machine in libvirt, as a person at a terminal uses it. Disposing of it detaches. */
export class LibvirtConsole implements SerialConsole, AsyncDisposable {
  readonly #child: ChildProcess;
  #text = "";

  private constructor(command: readonly string[]) {
    // It wants a terminal, which `script` gives it.
    const args = ["--pdeathsig", "KILL", "script", "-qfec", command.join(" "), "/dev/null"];
    this.#child = spawn("setpriv", args, { stdio: ["pipe", "pipe", "inherit"] });
    this.#child.stdout?.setEncoding("utf8").on("data", (text: string) => {
      this.#text += text;
    });
    // If it ends early, the next `waitFor` says what it showed.
    this.#child.stdin?.on("error", () => {});
  }

  /** `command`: such as `virsh console pine-1`. Rejects with what it showed if it does not connect. */
  static async attach(command: readonly string[]): Promise<LibvirtConsole> {
    const attached = new LibvirtConsole(command);
    // What is typed earlier is lost.
    await attached.waitFor(/Escape character is/);
    return attached;
  }

  get console(): string {
    return this.#text;
  }

  type(line: string): void {
    this.#child.stdin?.write(`${line}\n`);
  }

  waitFor(text: RegExp, from = 0, timeoutMs: number = CONSOLE_TIMEOUT_MS): Promise<number> {
    return waitForText(() => this.#text, text, { from, timeoutMs });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    this.#child.kill();
    await once(this.#child, "exit");
  }
}
