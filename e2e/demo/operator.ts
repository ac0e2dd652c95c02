import { writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Recovery } from "#shared/protocol/recovery.ts";
import { logInAsRoot } from "../machines/console-text.ts";
import { LEDGER_END, REPORT_LEDGER } from "../machines/disk/database-server.ts";
import { LibvirtConsole } from "../machines/libvirt-console.ts";
import type { Installation } from "../site/installation.ts";
import type { RecoverReport } from "./recover-report.ts";
import { filledIn, wordsOf } from "./runbook.ts";
import type { RunStep } from "./steps.ts";

const REMOVE = "causeway machine remove RECOVERY --disks";

/** Types the commands of a runbook, and learns from their output what the later ones need. */
export class Operator {
  readonly #installation: Installation;
  readonly #step: RunStep;
  readonly #facts: Pick<RecoverReport, "commands" | "consoleLog">;
  readonly #values: Record<string, string>;
  #removed = false;

  constructor(
    installation: Installation,
    step: RunStep,
    facts: Pick<RecoverReport, "commands" | "consoleLog">,
    values: Record<string, string>,
  ) {
    this.#installation = installation;
    this.#step = step;
    this.#facts = facts;
    this.#values = values;
  }

  /** Runs every line; each must succeed. Returns what the machine's console showed. */
  async follow(lines: readonly string[], { keep }: { keep: boolean }): Promise<string> {
    let consoleText = "";
    for (const line of lines) {
      // `leaveNothing` undefines the machine.
      if (line === REMOVE && keep) continue;
      const command = filledIn(line, this.#values);
      this.#facts.commands.push(command);
      await this.#step(command, async () => {
        if (command.startsWith("virsh console ")) consoleText = await this.#look(command);
        else await this.#causeway(command);
      });
      this.#removed = line === REMOVE;
    }
    return consoleText;
  }

  recovery(): Promise<Recovery> {
    return this.#installation.api.getRecovery({ parameters: { id: this.#values.RECOVERY ?? "" } });
  }

  /** Switches the machine off and undefines it if the runbook did not come so far. Its disks stay. */
  async leaveNothing(): Promise<void> {
    const { RECOVERY } = this.#values;
    if (RECOVERY === undefined || this.#removed) return;
    await this.#installation.cli(["machine", "stop", RECOVERY, "--at-once"]);
    await this.#installation.cli(["machine", "remove", RECOVERY]);
  }

  async #causeway(command: string): Promise<void> {
    const [program, ...words] = wordsOf(command);
    if (program !== "causeway") throw new Error(`the demo cannot run ${command}`);
    const { code, stdout, stderr } = await this.#installation.cli(words);
    const output = `${stderr}${stdout}`.trimEnd();
    console.error(output.replace(/^/gm, "  "));
    // As a person reads them in the output of `recover`.
    const learnt = { RECOVERY: /^(rcv_\w+) started/m, NAME: /^ +the machine (\S+) \(libvirt\) runs/m };
    for (const [name, pattern] of Object.entries(learnt)) {
      const value = pattern.exec(output)?.[1];
      if (value !== undefined) this.#values[name] = value;
    }
    if (code !== 0) throw new Error(`${command} ended with ${code}: ${output}`);
  }

  /** Logs in, and has the rows shown. */
  async #look(command: string): Promise<string> {
    await using serial = await LibvirtConsole.attach(wordsOf(command));
    try {
      await logInAsRoot(serial);
      const from = serial.console.length;
      serial.type(REPORT_LEDGER);
      await serial.waitFor(new RegExp(LEDGER_END), from);
      return serial.console;
    } finally {
      this.#facts.consoleLog = join(this.#installation.dir, "recovered-console.log");
      writeFileSync(this.#facts.consoleLog, serial.console);
    }
  }
}
