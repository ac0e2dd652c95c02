import { join } from "node:path";
import type { SystemdHost } from "../machines/systemd-host.ts";
import { MAIN } from "../site/daemon.ts";
import type { Installation } from "../site/installation.ts";

/** The file of a fence that lasts. */
const FENCED = "/etc/causeway/fenced";

type Host = Pick<SystemdHost, "enter" | "shell">;

/** An agent on a host that other agents share with it, or have before and after it. */
export class HostedAgent {
  readonly installation: Installation;
  readonly #name: string;
  readonly #host: Host;

  constructor(name: string, installation: Installation, host: Host) {
    this.installation = installation;
    this.#name = name;
    this.#host = host;
  }

  start(): void {
    this.installation.startAgent(this.#name, this.#host.enter);
  }

  kill(): Promise<void> {
    return this.#end("KILL");
  }

  /** Ends it, and leaves no fence to the next source of its host. */
  async leave(): Promise<void> {
    await this.#end("TERM");
    const broken = `${process.execPath} ${MAIN} fence break --data ${this.#data} --machine-is-off`;
    await this.#host.shell(`[ ! -e ${FENCED} ] || ${broken}`);
  }

  get #data(): string {
    return join(this.installation.dir, this.#name);
  }

  async #end(signal: "TERM" | "KILL"): Promise<void> {
    // A signal to the program that entered the host does not reach the agent.
    await this.#host.shell(`exec pkill -${signal} -f -- "agent .*--data ${this.#data}( |$)"`);
    await this.installation.daemon(this.#name).stop();
  }
}
