import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { appendFileSync, mkdirSync, readFileSync, rmSync } from "node:fs";
import { mkdtemp } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as wait } from "node:timers/promises";
import type { HypervisorKind } from "#shared/protocol/defined-machine.ts";
import { CommandFailedError, run } from "./disk/command.ts";
import { untilAnswered, VERSION_QUESTION } from "./libvirt-host.ts";

const ROOT = join(import.meta.dirname, "../..");
const SETUP = join(ROOT, "scripts/setup.mjs");
const START_LIMIT_MS = 120_000;

/**
 * A host beside this computer that systemd has started: a container. It has this computer's programs and
 * network, and what it writes elsewhere than in `folder` is gone with it.
 */
export class SystemdHost implements AsyncDisposable {
  /** A command that follows these words runs on that host. */
  readonly enter: readonly string[];
  /** What makes its machines. */
  readonly hypervisor: HypervisorKind;
  readonly #container: ChildProcess;
  readonly #layer: string;

  private constructor(container: ChildProcess, layer: string, init: number, hypervisor: HypervisorKind) {
    this.#container = container;
    this.hypervisor = hypervisor;
    this.#layer = layer;
    this.enter = ["nsenter", "--target", String(init), "--mount", "--pid", "--ipc", "--uts"];
  }

  /**
   * `folder`: both have it, at the same path. Without `hypervisor`, it has libvirt if that can be installed
   * here, and plain QEMU otherwise.
   */
  static async start(folder: string, hypervisor?: HypervisorKind): Promise<SystemdHost> {
    const chosen = await installed(hypervisor);
    // An overlay must not be on the file system that it covers.
    const layer = await mkdtemp("/dev/shm/causeway-host-");
    const [upper, work, root] = [join(layer, "upper"), join(layer, "work"), join(layer, "root")];
    for (const path of [upper, work, root]) mkdirSync(path);
    const layers = `lowerdir=/,upperdir=${upper},workdir=${work}`;
    await run("mount", ["-t", "overlay", "overlay", "-o", layers, root]);
    // A container may make no groups of processes.
    if (chosen === "libvirt")
      appendFileSync(join(root, "etc/libvirt/qemu.conf"), "cgroup_controllers = []\n");
    const nspawn = ["--pdeathsig", "TERM", "systemd-nspawn", ...words(root, folder)];
    // libvirt sets up its bridges below `/proc/sys`.
    const env = { ...process.env, SYSTEMD_NSPAWN_API_VFS_WRITABLE: "yes" };
    const container = spawn("setpriv", nspawn, { stdio: "ignore", env });
    const host = new SystemdHost(container, layer, await initOf(container), chosen);
    try {
      await host.#untilReady();
    } catch (error) {
      await host[Symbol.asyncDispose]();
      throw error;
    }
    return host;
  }

  /** What a line of shell printed there. Rejects if it fails. */
  shell(line: string): Promise<string> {
    return this.#run("sh", "-c", line);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const { exitCode, signalCode } = this.#container;
    const ended = exitCode === null && signalCode === null ? once(this.#container, "exit") : undefined;
    // Its init ends, and so does every process of the container.
    await run("kill", ["-KILL", this.enter[2] ?? ""]);
    await ended;
    await run("umount", [join(this.#layer, "root")]);
    rmSync(this.#layer, { recursive: true });
  }

  async #untilReady(): Promise<void> {
    if (this.hypervisor === "libvirt")
      await untilAnswered(async () => {
        await this.#run("systemctl", "start", "libvirtd");
        await this.#run("virsh", ...VERSION_QUESTION);
      });
    else await untilAnswered(() => this.#run("systemctl", "list-units", "--no-pager"));
  }

  #run(...command: string[]): Promise<string> {
    const [program = "", ...rest] = [...this.enter, ...command];
    return run(program, rest);
  }
}

/** Installs what a host with this hypervisor needs, or with the one that can be had here. */
async function installed(wanted: HypervisorKind | undefined): Promise<HypervisorKind> {
  if (wanted !== "qemu") {
    try {
      await run(process.execPath, [SETUP, "libvirt"]);
      return "libvirt";
    } catch (error) {
      if (wanted === "libvirt" || !(error instanceof CommandFailedError)) throw error;
      console.error("  libvirt cannot be installed here: plain QEMU runs the machine");
    }
  }
  await run(process.execPath, [SETUP, "host"]);
  return "qemu";
}

function words(root: string, folder: string): string[] {
  return [
    ...["--register=no", "--keep-unit", "--link-journal=no", "--console=pipe", "--capability=all"],
    ...["--directory", root, `--bind=${folder}`, `--bind-ro=${ROOT}`, "--bind=/dev/net/tun", "--boot"],
    // Nothing of this computer's own services, and nothing that cleans folders.
    ...["systemd.unit=basic.target", "systemd.mask=systemd-tmpfiles-setup.service"],
    "systemd.mask=systemd-tmpfiles-clean.timer",
  ];
}

/**
 * The container's first process. The program that makes the container has a child before, which makes that
 * process and ends.
 */
async function initOf(container: ChildProcess): Promise<number> {
  const deadline = performance.now() + START_LIMIT_MS;
  while (container.exitCode === null && performance.now() < deadline) {
    const children = readFileSync(`/proc/${container.pid}/task/${container.pid}/children`, "utf8").trim();
    if (/^\d+$/.test(children) && isFirstOfItsOwn(children)) return Number(children);
    await wait(50);
  }
  throw new Error("systemd-nspawn did not start a container");
}

/** Whether it is the first process of a container, as this computer sees it. */
function isFirstOfItsOwn(id: string): boolean {
  try {
    return /^NSpid:\t.*\t1$/m.test(readFileSync(`/proc/${id}/status`, "utf8"));
  } catch {
    // It has ended.
    return false;
  }
}
