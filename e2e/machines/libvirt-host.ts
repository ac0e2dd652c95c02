import { type ChildProcess, spawn } from "node:child_process";
import { existsSync, mkdirSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as wait } from "node:timers/promises";
import { CommandFailedError, run } from "./disk/command.ts";

const SETUP = join(import.meta.dirname, "../../scripts/setup.mjs");
const START_LIMIT_MS = 120_000;
/** A question to libvirt, for `virsh`. */
export const VERSION_QUESTION = ["-c", "qemu:///system", "version"];

/**
 * libvirt of this host, installed if it is missing. Without systemd, nothing has started its daemons: then
 * they are started here, and end with `stop`.
 */
export class LibvirtHost {
  readonly #daemons: ChildProcess[] = [];

  static async start(): Promise<LibvirtHost> {
    await run(process.execPath, [SETUP, "libvirt"]);
    const host = new LibvirtHost();
    for (const folder of ["/var/log/libvirt", "/run/libvirt"]) mkdirSync(folder, { recursive: true });
    if (!existsSync("/run/libvirt/virtlogd-sock")) host.#start("virtlogd");
    if (!existsSync("/run/libvirt/libvirt-sock")) host.#start("libvirtd");
    await untilAnswered(() => run("virsh", VERSION_QUESTION));
    return host;
  }

  stop(): void {
    for (const daemon of this.#daemons.reverse()) daemon.kill();
  }

  #start(program: string): void {
    this.#daemons.push(spawn(program, [], { stdio: "ignore" }));
  }
}

/** Waits until the command that `look` runs succeeds: what it asks has just been started. */
export async function untilAnswered(look: () => Promise<unknown>): Promise<void> {
  const deadline = performance.now() + START_LIMIT_MS;
  for (;;) {
    try {
      await look();
      return;
    } catch (error) {
      if (!(error instanceof CommandFailedError) || performance.now() > deadline) throw error;
      await wait(100);
    }
  }
}
