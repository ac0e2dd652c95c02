import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { HypervisorFailedError, IsolatedCheckUnavailableError } from "#shared/errors.ts";
import type { SingleCheck } from "#shared/protocol/answer-check.ts";
import type { IsolatedNetwork } from "#shared/protocol/isolated-network.ts";
import { SCRIPT_PATH } from "../hooks/run-script.ts";
import { ownWords } from "../hypervisor/own-words.ts";
import { LocalMachine, type Machine } from "../machine/machine.ts";
import { FromAsker, type ToAsker } from "./asker-messages.ts";
import { ASKER_LINK, ipTool } from "./ip-tool.ts";
import type { CheckMeans } from "./wait.ts";

const PROGRAM = fileURLToPath(new URL("./asker-program.ts", import.meta.url));
const KEPT_CHARACTERS = 2000;
/** `unshare`, if it cannot find the program that it is to run. */
const NOT_FOUND = 127;

/** Why this host has no asker; `undefined` if it can have one. */
export async function askerProblem(
  machine: Pick<Machine, "run"> = new LocalMachine(),
): Promise<string | undefined> {
  const cable = ["ip", "link", "add", "cw0", "type", "veth", "peer", "name", ASKER_LINK];
  const tried = await machine.run("unshare", "--net", ...cable);
  if (tried?.status === 0) return undefined;
  if (!tried) return "unshare is not installed (util-linux)";
  if (tried.status === NOT_FOUND) return "ip is not installed (iproute2)";
  return "it cannot make network namespaces or links of type veth: it needs root, and a kernel with veth";
}

/** Throws `IsolatedCheckUnavailableError` if this host has no asker. */
export async function requireAsker(): Promise<void> {
  const problem = await askerProblem();
  if (problem !== undefined) throw new IsolatedCheckUnavailableError("this target host", problem);
}

/**
 * Asks an isolated machine in the place of its gateway. Its process is alone in a network namespace, whose
 * only cable leads to the machine's bridge: this host and the machine still do not reach each other. When the
 * process ends, also because it or the agent is killed, the kernel removes the namespace and the cable.
 */
export class Asker implements AsyncDisposable {
  readonly #child: ChildProcess;
  readonly #ended: Promise<never>;
  #words = "";

  /** Throws `HypervisorFailedError` if there is no way to the bridge. */
  static async start(
    bridge: string,
    networks: readonly IsolatedNetwork[],
    signal: AbortSignal,
  ): Promise<Asker> {
    const asker = new Asker();
    try {
      await asker.#hear("started", signal);
      const [pid, end] = [String(asker.#child.pid), `cw${asker.#child.pid}`];
      await ipTool("link", "add", end, "type", "veth", "peer", "name", ASKER_LINK, "netns", pid);
      await ipTool("link", "set", end, "master", bridge, "up");
      await asker.#say({ kind: "enter", networks: [...networks] }, "entered", signal);
      return asker;
    } catch (error) {
      await asker[Symbol.asyncDispose]();
      throw error;
    }
  }

  private constructor() {
    const words = ["--net", "--", process.execPath, PROGRAM];
    this.#child = spawn("unshare", words, {
      stdio: ["ignore", "ignore", "pipe", "ipc"],
      // With the agent's: it trusts the same authorities, and has the cache of compiled modules.
      env: { ...process.env, LC_ALL: "C", PATH: SCRIPT_PATH },
    });
    this.#child.stderr?.setEncoding("utf8").on("data", (text: string) => {
      this.#words = `${this.#words}${text}`.slice(-KEPT_CHARACTERS);
    });
    this.#ended = once(this.#child, "close").then(() => {
      throw new HypervisorFailedError(`what asks the isolated machine has ended: ${ownWords(this.#words)}`);
    });
    // It is awaited only while something is asked.
    this.#ended.catch(() => {});
  }

  /**
   * Asks once, at this address of the machine. Says why the check has not succeeded; `undefined` if it has.
   * Throws `HypervisorFailedError`, or if the signal is aborted.
   */
  async refusal(
    check: SingleCheck,
    address: string,
    { connectLimitMs, requestLimitMs }: Pick<CheckMeans, "connectLimitMs" | "requestLimitMs">,
    signal: AbortSignal,
  ): Promise<string | undefined> {
    const limits = { connectLimitMs, requestLimitMs };
    return (await this.#say({ kind: "ask", check, address, limits }, "asked", signal)).why;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#child.kill("SIGKILL");
    await this.#ended.catch(() => {});
  }

  #say<K extends FromAsker["kind"]>(message: ToAsker, kind: K, signal: AbortSignal) {
    // What cannot be sent any more has ended.
    this.#child.send(message, () => {});
    return this.#hear(kind, signal);
  }

  async #hear<K extends FromAsker["kind"]>(
    kind: K,
    signal: AbortSignal,
  ): Promise<Extract<FromAsker, { kind: K }>> {
    const [heard] = await Promise.race([once(this.#child, "message", { signal }), this.#ended]);
    const message = FromAsker.parse(heard);
    if (message.kind !== kind)
      throw new HypervisorFailedError(
        `the isolated machine cannot be asked: ${message.kind === "failed" ? message.why : message.kind}`,
      );
    return message as Extract<FromAsker, { kind: K }>;
  }
}
