import { existsSync } from "node:fs";
import { mkdir, rm } from "node:fs/promises";
import { join } from "node:path";
import type { Systemctl } from "../hypervisor/qemu/service/systemctl.ts";
import { replaceLocalFile } from "../machine/durable.ts";
import { makeOwnFolder } from "../machine/inside-folder.ts";
import { guardScript, guardUnit } from "./guard-files.ts";

export interface GuardedMachine {
  ownerId: string;
  /** Its name in the hypervisor. */
  name: string;
  uuid: string;
}

export interface LeaseGuardOptions {
  /** Where the scripts are: a folder of the agent's own. */
  scriptsDir: string;
  systemctl: Systemctl;
  unitsDir?: string;
  /** In memory: empty after a restart of the host, so that no earlier time counts. */
  deadlinesDir?: string;
}

/**
 * The guards of machines under a lease: services of systemd that pause a machine when its time is over, even
 * if the agent was killed. Each call may be repeated.
 */
export class LeaseGuard {
  readonly #options: Required<LeaseGuardOptions>;

  constructor(options: LeaseGuardOptions) {
    const places = { unitsDir: "/etc/systemd/system", deadlinesDir: "/run/causeway-leases" };
    this.#options = { ...places, ...options };
  }

  /** From now on the machine runs only as long as `extend` says. Starts with the host, too. */
  async install(machine: GuardedMachine): Promise<void> {
    const { systemctl, deadlinesDir } = this.#options;
    await mkdir(deadlinesDir, { recursive: true, mode: 0o700 });
    const folder = await makeOwnFolder(this.#options.scriptsDir, machine.ownerId);
    const script = join(folder, "guard");
    const text = guardScript({ uuid: machine.uuid, deadline: this.#deadline(machine) });
    // A loss of power leaves the old content or the new one: an empty guard would pause nothing.
    await replaceLocalFile(script, text, 0o700);
    await replaceLocalFile(this.#unit(machine), guardUnit({ name: machine.name, script }), 0o644);
    await systemctl("daemon-reload");
    await systemctl("enable", unitName(machine));
    await systemctl("restart", unitName(machine));
  }

  /** Until then the machine may run: milliseconds of the host's uptime, rounded down to a second. */
  async extend(machine: GuardedMachine, untilMs: number): Promise<void> {
    await mkdir(this.#options.deadlinesDir, { recursive: true, mode: 0o700 });
    await replaceLocalFile(this.#deadline(machine), `${Math.max(0, Math.floor(untilMs / 1000))}\n`, 0o600);
  }

  /** The machine runs without a guard. */
  async remove(machine: GuardedMachine): Promise<void> {
    const { systemctl, scriptsDir } = this.#options;
    if (existsSync(this.#unit(machine))) {
      await systemctl("disable", "--now", unitName(machine));
      await rm(this.#unit(machine), { force: true });
      await systemctl("daemon-reload");
    }
    await rm(join(scriptsDir, machine.ownerId), { recursive: true, force: true });
    await rm(this.#deadline(machine), { force: true });
  }

  #unit(machine: GuardedMachine): string {
    return join(this.#options.unitsDir, unitName(machine));
  }

  #deadline({ ownerId }: GuardedMachine): string {
    return join(this.#options.deadlinesDir, ownerId);
  }
}

/** Two hypervisors may each have a machine of the same name. */
function unitName({ ownerId }: GuardedMachine): string {
  return `causeway-lease-${ownerId}.service`;
}
