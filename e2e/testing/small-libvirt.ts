import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { MemoryLibvirt } from "#agent/hypervisor/testing/memory-libvirt.ts";

/** What a machine does: it is there, and can be stopped and continued. */
const BUSY = "while :; do sleep 1; done";
const ENDS_WITH_PARENT = ["setpriv", "--pdeathsig", "KILL"];
const PROMPT = "web1 login: \n";

interface Running {
  process: ChildProcess;
  /** Has the terminal of its console. */
  console: ChildProcess;
  terminal: string;
}

/** Libvirt in memory whose machines are processes with QEMU's words, and show a login prompt when asked. */
export class SmallLibvirt extends MemoryLibvirt {
  readonly #spawn: (command: readonly string[]) => ChildProcess;
  readonly #running = new Map<string, Running>();

  /** `spawnThere`: starts a command on the host. */
  constructor(spawnThere: (command: readonly string[]) => ChildProcess) {
    super();
    this.#spawn = spawnThere;
  }

  override async run(args: readonly string[], input = ""): Promise<string> {
    const [action, , uuid = ""] = args;
    if (action === "ttyconsole") return this.#consoleOf(uuid);
    const output = await super.run(args, input);
    if (action === "start") await this.#start(uuid);
    if (action === "destroy" || action === "shutdown") this.#end(uuid);
    return output;
  }

  /** Its host loses power. Networks and pools start with the host again, and machines do not. */
  cutPower(): void {
    for (const uuid of this.#running.keys()) this.#end(uuid);
    for (const machine of this.items[""]) machine.active = false;
  }

  async #start(uuid: string): Promise<void> {
    const process = this.#spawn([...ENDS_WITH_PARENT, "bash", "-c", BUSY, "qemu", "-uuid", uuid]);
    // The other side of a terminal: what goes in here, a reader of the terminal gets.
    const console = spawn("script", ["--quiet", "--command", "tty; exec sleep infinity", "/dev/null"]);
    const [line] = await once(console.stdout.setEncoding("utf8"), "data");
    console.stdout.resume();
    this.#running.set(uuid, { process, console, terminal: String(line).trim() });
  }

  #consoleOf(uuid: string): string {
    const running = this.#running.get(uuid);
    running?.console.stdin?.write(PROMPT);
    return `${running?.terminal ?? ""}\n`;
  }

  #end(uuid: string): void {
    const running = this.#running.get(uuid);
    running?.process.kill("SIGKILL");
    running?.console.kill("SIGKILL");
    this.#running.delete(uuid);
  }
}
