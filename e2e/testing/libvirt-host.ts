import { type ChildProcess, spawn } from "node:child_process";
import { existsSync, mkdirSync } from "node:fs";
import { join } from "node:path";
import { runTool } from "./run-tool.ts";
import { until } from "./until.ts";

const SETUP = join(import.meta.dirname, "../../scripts/setup.mjs");

/**
 * libvirt of this host, installed if it is missing. Without systemd, nothing has started its daemons: then
 * they are started here, and end with `stop`.
 */
export class LibvirtHost {
  readonly #daemons: ChildProcess[] = [];

  static async start(): Promise<LibvirtHost> {
    await runTool(process.execPath, SETUP, "libvirt");
    const host = new LibvirtHost();
    for (const folder of ["/var/log/libvirt", "/run/libvirt"]) mkdirSync(folder, { recursive: true });
    if (!existsSync("/run/libvirt/virtlogd-sock")) host.#start("virtlogd");
    if (!existsSync("/run/libvirt/libvirt-sock")) host.#start("libvirtd");
    await until("libvirt", () => runTool("virsh", "-c", "qemu:///system", "version").catch(() => undefined));
    return host;
  }

  stop(): void {
    for (const daemon of this.#daemons.reverse()) daemon.kill();
  }

  #start(program: string): void {
    this.#daemons.push(spawn(program, [], { stdio: "ignore" }));
  }
}
