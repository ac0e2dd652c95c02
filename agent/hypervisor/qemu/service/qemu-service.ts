import { once } from "node:events";
import { access, constants, lstat, open, readFile, rm } from "node:fs/promises";
import { connect, type Socket } from "node:net";
import { join } from "node:path";
import { setTimeout } from "node:timers/promises";
import {
  HypervisorFailedError,
  MachineNotOursError,
  MachineNotStoppedError,
  MachineRunningError,
  MachineUnsupportedError,
} from "#shared/errors.ts";
import type { MachinePower } from "#shared/protocol/defined-machine.ts";
import { replaceLocalFile } from "../../../machine/durable.ts";
import { makeOwnFolder } from "../../../machine/inside-folder.ts";
import { LocalMachine } from "../../../machine/machine.ts";
import {
  ANNOUNCE,
  type Definition,
  type KeptMachine,
  type MachineConsole,
  type MachineKeeper,
  UNPLUGGED_MS,
} from "../../machine-keeper.ts";
import { ownWords } from "../../own-words.ts";
import { findUefiFirmware } from "../uefi-firmware.ts";
import { cardName, isolatedBridgeName } from "./command.ts";
import { PLUG, serviceFiles, unitMark, unitName } from "./files.ts";
import { localSystemctl, type Systemctl } from "./systemctl.ts";

const SHUTDOWN_LIMIT_SECONDS = 300;
const PRESS_AGAIN_SECONDS = 20;
const LOOK_AGAIN_MS = 1000;
const CONSOLE_POLL_MS = 20;
const CONSOLE_LIMIT_MS = 10_000;
const SCRIPT_MODE = 0o700;
const VARIABLES = "variables.fd";

export interface QemuServiceOptions {
  /** Where the machines' scripts are: a folder of the agent's own. */
  scriptsDir: string;
  systemctl?: Systemctl;
  unitsDir?: string;
  runtimeDir?: string;
  shutdownLimitSeconds?: number;
}

/** Machines that are services of this host: a unit of systemd and a script that runs QEMU. */
export class QemuService implements MachineKeeper {
  readonly kind = "qemu";
  readonly #options: Required<QemuServiceOptions>;

  constructor(options: QemuServiceOptions) {
    this.#options = {
      ...{ systemctl: localSystemctl, unitsDir: "/etc/systemd/system", runtimeDir: "/run" },
      shutdownLimitSeconds: SHUTDOWN_LIMIT_SECONDS,
      ...options,
    };
  }

  async draft(machine: KeptMachine): Promise<Definition[]> {
    const { shape } = machine;
    await requireBridges(machine);
    await this.#requireOurs(machine);
    const folder = this.#folder(machine);
    const isUefi = shape.firmware === "uefi";
    const uefi = isUefi
      ? { code: (await findUefiFirmware()).code, variables: join(folder, VARIABLES) }
      : undefined;
    const kvm = shape.acceleration === "if-offered" && (await isOpenable("/dev/kvm"));
    return serviceFiles(machine, { folder, unit: this.#unitPath(machine), host: { kvm, uefi } });
  }

  async define(machine: KeptMachine): Promise<void> {
    const files = await this.draft(machine);
    if ((await this.power(machine)) === "on") throw new MachineRunningError(machine.name, "defined again");
    await makeOwnFolder(this.#options.scriptsDir, machine.ownerId);
    if (machine.shape.firmware === "uefi") await this.#keepVariables(machine);
    // The unit is the last of them: it never names a script that is not there.
    for (const { name, text } of files) await put(name, text);
    await this.#options.systemctl("daemon-reload");
  }

  async power(machine: KeptMachine): Promise<MachinePower | undefined> {
    if ((await this.#readUnit(machine)) === undefined) return undefined;
    const { systemctl } = this.#options;
    const state = await systemctl("show", "--property=ActiveState", "--value", unitName(machine.name));
    // Anything else is on its way there or back, and still has the disks open.
    return ["inactive", "failed"].includes(state.trim()) ? "off" : "on";
  }

  async start(machine: KeptMachine): Promise<void> {
    if ((await this.power(machine)) === "on") return;
    await this.#requireOurs(machine);
    await this.#options.systemctl("start", unitName(machine.name));
  }

  async connect(machine: KeptMachine): Promise<void> {
    const plug = join(this.#folder(machine), PLUG);
    const files = await this.draft(machine);
    for (const { name, text } of files.filter((file) => file.name === plug)) await put(name, text);
    if ((await this.power(machine)) !== "on") return;
    await runScript(plug);
    await this.#setLinks(machine, "off");
    await setTimeout(UNPLUGGED_MS);
    await this.#setLinks(machine, "on");
    await this.#tellMonitor(machine, `${ANNOUNCE}\n`);
  }

  async #setLinks(machine: KeptMachine, state: "on" | "off"): Promise<void> {
    const commands = machine.shape.cards.map((_, index) => `set_link ${cardName(index)} ${state}\n`);
    await this.#tellMonitor(machine, commands.join(""));
  }

  async isolatedBridge(machine: KeptMachine): Promise<string> {
    const bridge = isolatedBridgeName(machine);
    if (await isThere(`/sys/class/net/${bridge}/bridge`)) return bridge;
    throw new HypervisorFailedError(`the isolated machine ${machine.name} has no bridge ${bridge}`);
  }

  async openConsole({ name }: KeptMachine): Promise<MachineConsole> {
    const path = join(this.#options.runtimeDir, `causeway-${name}`, "machine", "console");
    const socket = await this.#connectedConsole(path);
    if (!socket) throw new HypervisorFailedError(`the machine ${name} has no console`);
    return {
      output: socket,
      pressEnter: async () => {
        socket.write("\n");
      },
      close: () => socket.destroy(),
    };
  }

  async stop(machine: KeptMachine, { atOnce, signal }: { atOnce: boolean; signal: AbortSignal }) {
    await this.#requireOurs(machine);
    const unit = unitName(machine.name);
    for (let waited = 0; (await this.power(machine)) === "on"; waited += LOOK_AGAIN_MS / 1000) {
      if (waited >= this.#options.shutdownLimitSeconds)
        throw new MachineNotStoppedError(machine.name, waited);
      // Not `systemctl stop`, which switches the machine off if it does not obey in time.
      if (atOnce) await this.#options.systemctl("kill", "--kill-whom=main", "--signal=TERM", unit);
      else if (waited % PRESS_AGAIN_SECONDS === 0) await this.#tellMonitor(machine, "system_powerdown\n");
      await setTimeout(LOOK_AGAIN_MS, undefined, { signal });
    }
  }

  async undefine(machine: KeptMachine): Promise<void> {
    const power = await this.power(machine);
    if (power === "on") throw new MachineRunningError(machine.name, "removed");
    if (power === "off") {
      await this.#requireOurs(machine);
      await rm(this.#unitPath(machine), { force: true });
      await this.#options.systemctl("daemon-reload");
    }
    await rm(this.#folder(machine), { recursive: true, force: true });
  }

  /** QEMU makes the socket a moment after it was started, and listens a moment later. */
  async #connectedConsole(path: string): Promise<Socket | undefined> {
    for (let waited = 0; waited < CONSOLE_LIMIT_MS; waited += CONSOLE_POLL_MS) {
      const socket = await consoleAt(path);
      if (socket) return socket;
      await setTimeout(CONSOLE_POLL_MS);
    }
    return undefined;
  }

  #folder({ ownerId }: KeptMachine): string {
    return join(this.#options.scriptsDir, ownerId);
  }

  #unitPath({ name }: KeptMachine): string {
    return join(this.#options.unitsDir, unitName(name));
  }

  async #readUnit(machine: KeptMachine): Promise<string | undefined> {
    return readFile(this.#unitPath(machine), "utf8").catch((error: NodeJS.ErrnoException) => {
      if (error.code === "ENOENT") return undefined;
      throw error;
    });
  }

  /** Throws `MachineNotOursError` if the unit of this name was not made for this conversion. */
  async #requireOurs(machine: KeptMachine): Promise<void> {
    const unit = await this.#readUnit(machine);
    if (unit === undefined || unit.startsWith(`${unitMark(machine)}\n`)) return;
    throw new MachineNotOursError(this.#unitPath(machine), `it was not made for ${machine.ownerId}`);
  }

  /** The firmware's variables stay when the machine is defined again: the system may have changed them. */
  async #keepVariables(machine: KeptMachine): Promise<void> {
    const path = join(this.#folder(machine), VARIABLES);
    const exists = await isThere(path);
    if (!exists) await put(path, await readFile((await findUefiFirmware()).variables));
  }

  async #tellMonitor({ name }: KeptMachine, commands: string): Promise<void> {
    const path = join(this.#options.runtimeDir, `causeway-${name}`, "machine", "monitor.in");
    // Without a reader it fails instead of waiting: QEMU has just ended.
    const flags = constants.O_WRONLY | constants.O_NONBLOCK | constants.O_NOFOLLOW;
    const monitor = await open(path, flags).catch(() => undefined);
    try {
      // QEMU's user could have put something else in its place.
      if ((await monitor?.stat())?.isFIFO()) await monitor?.write(commands);
    } finally {
      await monitor?.close();
    }
  }
}

/** Throws `HypervisorFailedError` with the script's own words if it fails. */
async function runScript(path: string): Promise<void> {
  const { status, output = "" } = (await new LocalMachine().run(path)) ?? {};
  if (status !== 0) throw new HypervisorFailedError(`${path} failed: ${ownWords(output)}`);
}

async function requireBridges({ shape: { cards } }: KeptMachine): Promise<void> {
  for (const { link } of cards) {
    if (link.kind === "network")
      throw new MachineUnsupportedError(
        `QEMU alone has no network ${link.network}`,
        "Attach the card to a bridge, or define the machine in libvirt.",
      );
    if (link.kind !== "bridge") continue;
    const folder = `/sys/class/net/${link.bridge}/bridge`;
    if (!(await isThere(folder)))
      throw new MachineUnsupportedError(
        `${link.bridge} is not a bridge of this host's kernel`,
        "Make the bridge first, or name another one: `ip -brief link show type bridge` lists them.",
      );
    // Absent in a kernel that cannot filter.
    const filtering = await readFile(`${folder}/vlan_filtering`, "utf8").catch(() => "0");
    const filters = link.vlan === undefined || filtering.trim() === "1";
    if (!filters)
      throw new MachineUnsupportedError(
        `the bridge ${link.bridge} does not tell VLANs apart`,
        `Have it do so (ip link set ${link.bridge} type bridge vlan_filtering 1), or name a bridge that is in the VLAN.`,
      );
  }
}

/** A loss of power leaves the old content or the new one: an empty script would start nothing. */
function put(path: string, content: string | Uint8Array): Promise<void> {
  return replaceLocalFile(path, content, path.endsWith(".service") ? 0o644 : SCRIPT_MODE);
}

/** `undefined` if nothing listens there. */
async function consoleAt(path: string): Promise<Socket | undefined> {
  if (!(await isSocket(path))) return undefined;
  const socket = connect(path).setEncoding("latin1");
  try {
    await once(socket, "connect");
    return socket;
  } catch (error) {
    if (["ECONNREFUSED", "ENOENT"].includes((error as NodeJS.ErrnoException).code ?? "")) return undefined;
    throw error;
  }
}

/** Not a link: QEMU's user could have put one there. */
async function isSocket(path: string): Promise<boolean> {
  return lstat(path).then(
    (found) => found.isSocket(),
    () => false,
  );
}

const isThere = (path: string) => isAllowed(path, constants.F_OK);
const isOpenable = (path: string) => isAllowed(path, constants.R_OK | constants.W_OK);

function isAllowed(path: string, mode: number): Promise<boolean> {
  return access(path, mode).then(
    () => true,
    () => false,
  );
}
