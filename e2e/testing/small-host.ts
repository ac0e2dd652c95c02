import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { cpSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { type AddressInfo, createServer, type Server, type Socket } from "node:net";
import { join } from "node:path";
import { FakeSystemd } from "#agent/fence/testing/fake-systemd.ts";
import { run } from "../machines/disk/command.ts";
import { SmallLibvirt } from "./small-libvirt.ts";

/** How the agent calls `virsh`, before what it wants. */
const VIRSH_OPTIONS = ["--quiet", "--connect", "qemu:///system"];

/**
 * A host of its own for an agent, which starts in a moment: it has its own `/etc`, `/run` and processes. Its
 * systemd and its libvirt are doubles in the test's process. Everything else is this computer's.
 */
export class SmallHost implements AsyncDisposable {
  readonly systemd: FakeSystemd;
  readonly libvirt: SmallLibvirt;
  readonly #folder: string;
  readonly #tools: Server;
  #init: ChildProcess | undefined;
  #enter: readonly string[] = [];

  private constructor(folder: string, services: readonly string[]) {
    this.#folder = folder;
    this.systemd = new FakeSystemd(folder, [...services], folder);
    this.libvirt = new SmallLibvirt((command) => this.#spawn(command));
    this.#tools = createServer((socket) => this.#answer(socket));
  }

  /** `services`: those that systemd starts with the host. */
  static async start(folder: string, services: readonly string[] = []): Promise<SmallHost> {
    const host = new SmallHost(folder, services);
    cpSync("/etc", join(folder, "etc"), { recursive: true, verbatimSymlinks: true, filter: isPlain });
    mkdirSync(join(folder, "etc/libvirt"), { recursive: true });
    writeFileSync(join(folder, "etc/libvirt/qemu.conf"), 'user = "root"\n');
    host.#tools.listen(0, "127.0.0.1");
    await once(host.#tools, "listening");
    host.#writePrograms();
    await host.powerOn();
    return host;
  }

  /** A command that follows these words runs on that host. */
  get enter(): readonly string[] {
    return this.#enter;
  }

  /** What a line of shell printed there. Rejects if it fails. */
  shell(line: string): Promise<string> {
    const [program = "", ...words] = [...this.enter, "sh", "-c", line];
    return run(program, words);
  }

  async powerOn(): Promise<void> {
    // It forgets what was in memory, so it comes before that is mounted.
    this.systemd.restart();
    mkdirSync(join(this.#folder, "run"), { recursive: true });
    const [etc, memory, programs] = ["etc", "run", "programs"].map((name) => join(this.#folder, name));
    const mounts = `mount --bind '${etc}' /etc && mount --bind '${memory}' /run && mount --bind '${programs}' /usr/local/sbin`;
    // Its first process reaps those that lost their parent, as a host's does.
    const script = `${mounts} && mount -t proc proc /proc && echo ready && while :; do sleep 3600; done`;
    const unshare = ["--mount", "--pid", "--fork", "--kill-child", "--propagation", "private"];
    const words = ["--pdeathsig", "KILL", "unshare", ...unshare, "bash", "-c", script];
    this.#init = spawn("setpriv", words, { stdio: ["ignore", "pipe", "inherit"] });
    const { pid, stdout } = this.#init;
    if (!stdout) throw new Error("a host without output");
    await Promise.race([once(stdout, "data"), once(this.#init, "exit").then(notStarted)]);
    const first = readFileSync(`/proc/${pid}/task/${pid}/children`, "utf8").trim();
    this.#enter = ["nsenter", "--target", first, "--mount", "--pid"];
  }

  /** Ends every process of it. */
  async cutPower(): Promise<void> {
    const ended = this.#init && once(this.#init, "exit");
    this.#init?.kill("SIGKILL");
    await ended;
    this.#init = undefined;
    this.libvirt.cutPower();
  }

  /** The path of a file of that host, as this computer sees it. */
  pathOf(path: string): string {
    return join(this.#folder, path);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#init) await this.cutPower();
    this.#tools.close();
  }

  #spawn(command: readonly string[]): ChildProcess {
    const [program = "", ...words] = [...this.enter, ...command];
    return spawn(program, words, { stdio: "ignore" });
  }

  #writePrograms(): void {
    const { port } = this.#tools.address() as AddressInfo;
    mkdirSync(join(this.#folder, "programs"));
    const script = `#!/bin/bash
exec 3<>/dev/tcp/127.0.0.1/${port}
{ printf '%s\\0' "\${0##*/}" "$@"; printf '\\0'; } >&3
read -r code <&3
if [ "$code" = 0 ]; then cat <&3; else cat <&3 >&2; fi
exit "$code"
`;
    for (const name of ["systemctl", "virsh"])
      writeFileSync(join(this.#folder, "programs", name), script, { mode: 0o755 });
  }

  #answer(socket: Socket): void {
    // The caller can be killed meanwhile.
    socket.on("error", () => {});
    let asked = "";
    socket.setEncoding("utf8").on("data", (part: string) => {
      asked += part;
      if (!asked.endsWith("\0\0")) return;
      const [program, ...args] = asked.slice(0, -2).split("\0");
      this.#call(program, args).then(
        (output) => socket.end(`0\n${output}`),
        (error: unknown) => socket.end(`1\n${String(error)}\n`),
      );
    });
  }

  async #call(program: string | undefined, args: string[]): Promise<string> {
    if (program === "systemctl") return this.systemd.systemctl(...args);
    const wanted = args.slice(VIRSH_OPTIONS.length);
    const last = wanted.at(-1) ?? "";
    if (!last.endsWith("/document.xml")) return this.libvirt.run(wanted);
    return this.libvirt.run(wanted.slice(0, -1), readFileSync(last, "utf8"));
  }
}

/** Sockets and pipes are no settings. */
function isPlain(path: string): boolean {
  return !/\.(sock|socket|pid|lock)$/.test(path);
}

function notStarted(): never {
  throw new Error("this computer lets no process have mounts and processes of its own");
}
