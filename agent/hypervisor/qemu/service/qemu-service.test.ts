import { execFileSync, spawnSync } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { constants, link, mkdir, mkdtemp, open, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { createServer, type Server } from "node:net";
import { networkInterfaces, tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { text } from "node:stream/consumers";
import { setTimeout as sleep } from "node:timers/promises";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { Asker } from "../../../answer/asker.ts";
import { attachHttpNeighbour } from "../../../answer/testing/http-neighbour.ts";
import type { KeptMachine } from "../../machine-keeper.ts";
import { keptMachine } from "../../testing/kept-machine.ts";
import { ScriptedSystemd } from "../../testing/scripted-systemd.ts";
import { chatteringDisk, printingDisk, smbiosPrintingDisk } from "../../testing/tiny-guest.ts";
import { tapsOf } from "./command.ts";
import { QemuService } from "./qemu-service.ts";

// Only root can give QEMU a user of its own.
const isRoot = process.getuid?.() === 0;
const { signal } = new AbortController();
const UNIT = "causeway-web1.service";

let dir: string;
let systemd: ScriptedSystemd;
let qemu: QemuService;
let machine: KeptMachine;

beforeEach(async () => {
  // A name that a shell would read in another way.
  dir = await mkdtemp(join(tmpdir(), "causeway it's $(x) "));
  const dirs = { unitsDir: join(dir, "units"), runtimeDir: join(dir, "run") };
  for (const folder of Object.values(dirs)) await mkdir(folder);
  systemd = new ScriptedSystemd(dirs);
  const { systemctl } = systemd;
  qemu = new QemuService({ ...dirs, systemctl, scriptsDir: join(dir, "scripts"), shutdownLimitSeconds: 2 });
  // A data disk that also has boot code, before the disk that boots.
  const contents = { sda: printingDisk("wrong disk"), sdb: chatteringDisk() };
  for (const [name, bytes] of Object.entries(contents)) await writeFile(join(dir, `${name}.raw`), bytes);
  const disks = Object.keys(contents).map((name) => ({
    ...{ name, path: join(dir, `${name}.raw`), format: "raw" as const },
  }));
  machine = keptMachine({ hypervisor: "qemu", folder: dir, disks });
});
afterEach(async () => {
  if ((await qemu.power(machine)) === "on") await qemu.stop(machine, { atOnce: true, signal });
  await rm(dir, { recursive: true });
});

const withShape = (shape: Partial<KeptMachine["shape"]>) => ({
  ...machine,
  shape: { ...machine.shape, ...shape },
});

/** Some containers may not. */
function makesBridges(): boolean {
  const name = `cwtry${process.pid % 100_000}`;
  const made =
    existsSync("/dev/net/tun") && spawnSync("ip", ["link", "add", name, "type", "bridge"]).status === 0;
  if (made) execFileSync("ip", ["link", "delete", name]);
  return made;
}

async function listen(server: Server, path: string): Promise<void> {
  await once(server.listen(path), "listening");
}

/** What the machine writes to its serial console, at least `characters` long. */
async function consoleText(characters: number): Promise<string> {
  const console = await qemu.openConsole(machine);
  let text = "";
  for await (const chunk of console.output) {
    text += chunk;
    if (text.length >= characters) break;
  }
  console.close();
  return text;
}

/** How many prompts QEMU's monitor has shown since it was last read: one, and one after each command. */
async function promptsOfMonitor(): Promise<number> {
  const path = join(dir, "run/causeway-web1/machine/monitor.out");
  const monitor = await open(path, constants.O_RDWR | constants.O_NONBLOCK);
  try {
    const { buffer, bytesRead } = await monitor.read(Buffer.alloc(65_536));
    return buffer.toString("latin1", 0, bytesRead).split("(qemu) ").length - 1;
  } finally {
    await monitor.close();
  }
}

describe.runIf(isRoot)("with real QEMU", () => {
  test.each(["virtio", "scsi", "sata", "ide"] as const)(
    "the script starts the boot disk on %s, as a user without rights, although another disk has boot code",
    async (diskBus) => {
      machine = withShape({ diskBus });
      await qemu.define(machine);
      await qemu.start(machine);
      await qemu.start(machine);
      expect(await consoleText(2000)).toMatch(/x{200}$/);
      const status = await readFile(`/proc/${systemd.pid}/status`, "utf8");
      expect(status).not.toMatch(/^Uid:\t0/m);
      expect(status).toMatch(/^CapEff:\t0+$/m);
      expect(status).toMatch(/^CapBnd:\t0+$/m);
      await qemu.stop(machine, { atOnce: true, signal });
      await qemu.undefine(machine);
      await qemu.undefine(machine);
      expect((await readdir(dir)).sort()).toEqual(["run", "scripts", "sda.raw", "sdb.raw", "units"]);
      expect([await readdir(join(dir, "scripts")), await readdir(join(dir, "units"))]).toEqual([[], []]);
    },
  );

  test("the machine's firmware shows for whom it was made", async () => {
    await writeFile(join(dir, "sdb.raw"), smbiosPrintingDisk("the end of the table"));
    machine = { ...machine, ownerId: "rcv_9" };
    await qemu.define(machine);
    await qemu.start(machine);
    expect(await consoleText(3000)).toContain("causeway-machine=rcv_9\0");
  });

  test("a machine with UEFI starts with variables of its own, which stay when it is defined again", async () => {
    machine = withShape({ firmware: "uefi" });
    await qemu.define(machine);
    const variables = join(dir, "scripts/cnv_1/variables.fd");
    await writeFile(variables, (await readFile(variables)).fill(0, 0, 1));
    const before = await readFile(variables);
    await qemu.define(machine);
    expect((await readFile(variables)).equals(before)).toBe(true);
    await qemu.start(machine);
    await consoleText(1);
    expect(await qemu.power(machine)).toBe("on");
  });

  test("a system that ignores its power button stays on, pressed by the agent or by the unit", async () => {
    await qemu.define(machine);
    await qemu.start(machine);
    await consoleText(1);
    const stop = qemu.stop(machine, { atOnce: false, signal });
    await expect(stop).rejects.toMatchObject({ name: "MachineNotStoppedError" });
    const pressed = await promptsOfMonitor();
    expect(pressed).toBeGreaterThan(1);
    systemd.pressByScript(UNIT, 2000);
    expect(await promptsOfMonitor()).toBe(1);
    expect(await qemu.power(machine)).toBe("on");
    expect(systemd.calls.filter((call) => call.startsWith("kill"))).toEqual([]);
  });

  test("a machine that is on is neither defined again nor removed", async () => {
    await qemu.define(machine);
    await qemu.start(machine);
    await expect(qemu.define(machine)).rejects.toMatchObject({ name: "MachineRunningError" });
    await expect(qemu.undefine(machine)).rejects.toMatchObject({ name: "MachineRunningError" });
    expect(existsSync(join(dir, "units", UNIT))).toBe(true);
  });
});

describe.runIf(isRoot && makesBridges())("with real QEMU and a bridge", () => {
  const bridge = `cwtest${process.pid % 100_000}`;
  const tap = () => tapsOf(machine)[0]?.name ?? "";
  const shown = (name: string) => execFileSync("ip", ["-o", "link", "show", "dev", name]).toString();

  beforeEach(() => {
    execFileSync("ip", ["link", "add", bridge, "type", "bridge"]);
    machine = withShape({ cards: [{ address: "52:54:00:00:00:01", link: { kind: "bridge", bridge } }] });
  });
  afterEach(async () => {
    await qemu.stop(machine, { atOnce: true, signal });
    execFileSync(join(dir, "scripts/cnv_1/unplug"));
    execFileSync("ip", ["link", "delete", bridge]);
  });

  test("an isolated machine is connected while it runs, and is connected when it is started again", async () => {
    await qemu.define({ ...machine, isolated: true });
    await qemu.start({ ...machine, isolated: true });
    await consoleText(1);
    expect(shown(tap())).not.toMatch(/master|[<,]UP[,>]/);
    await promptsOfMonitor();
    await qemu.connect(machine);
    await qemu.connect(machine);
    expect(shown(tap())).toMatch(new RegExp(`[<,]UP[,>].* master ${bridge} `));
    // Out and in again, twice.
    await expect.poll(promptsOfMonitor).toBeGreaterThanOrEqual(4);
    await qemu.stop(machine, { atOnce: true, signal });
    execFileSync(join(dir, "scripts/cnv_1/unplug"));
    await qemu.start(machine);
    await consoleText(1);
    expect(shown(tap())).toContain(`master ${bridge} `);
  });

  test("an isolated machine that is to be asked is at a bridge of its own, at which this host does not answer", async () => {
    const isolatedNetworks = [{ gateway: "198.51.100.1", prefixLength: 24, addresses: ["198.51.100.7"] }];
    const asked = { ...machine, isolated: true as const, isolatedNetworks };
    await qemu.define(asked);
    await qemu.start(asked);
    await consoleText(1);
    const own = await qemu.isolatedBridge(asked);
    expect(shown(tap())).toMatch(new RegExp(`[<,]UP[,>].* master ${own} `));
    {
      using neighbour = await attachHttpNeighbour(own);
      const [host] = Object.values(networkInterfaces()).flatMap(
        (all) => all?.filter((one) => !one.internal && one.family === "IPv4") ?? [],
      );
      const within = ["nsenter", `--net=/proc/${neighbour.pid}/ns/net`];
      execFileSync(within[0] ?? "", [
        ...within.slice(1),
        "ip",
        "route",
        "add",
        `${host?.address}`,
        "dev",
        "eth0",
      ]);
      const ask = `timeout 3 bash -c 'echo >/dev/tcp/${host?.address}/1' 2>&1`;
      const said = spawnSync(within[0] ?? "", [...within.slice(1), "sh", "-c", ask], { encoding: "utf8" });
      expect(said.stdout).not.toContain("refused");
      const known = execFileSync(within[0] ?? "", [...within.slice(1), "ip", "neigh", "show"]).toString();
      expect(known).not.toMatch(/lladdr/);
      await using asker = await Asker.start(own, isolatedNetworks, signal);
      const check = { kind: "tcp", host: "198.51.100.7", port: 80 } as const;
      const limits = { connectLimitMs: 3000, requestLimitMs: 3000 };
      expect(await asker.refusal(check, "198.51.100.7", limits, signal)).toBeUndefined();
    }
    await qemu.connect(machine);
    expect(shown(tap())).toContain(`master ${bridge} `);
    await expect(qemu.isolatedBridge(asked)).rejects.toMatchObject({ name: "HypervisorFailedError" });
  });

  test("a bridge that has disappeared leaves the machine isolated, and the error says what failed", async () => {
    await qemu.define({ ...machine, isolated: true });
    await qemu.start({ ...machine, isolated: true });
    await consoleText(1);
    execFileSync("ip", ["link", "set", bridge, "name", `${bridge}x`]);
    try {
      await expect(qemu.connect(machine)).rejects.toMatchObject({ name: "MachineUnsupportedError" });
      expect(shown(tap())).not.toContain("master");
    } finally {
      execFileSync("ip", ["link", "set", `${bridge}x`, "name", bridge]);
    }
  });
});

test.each([
  ["/var/lib/images", true],
  ["/tmp", false],
  ["/var/tmp/images", false],
])(
  "a machine whose files are in %s can open them: its unit has temporary folders of its own: %s",
  async (folder, isPrivate) => {
    const service = new QemuService({ scriptsDir: "/var/lib/causeway-agent/qemu-machines" });
    const unit = (await service.draft({ ...machine, folder })).find(({ name }) => name.endsWith(UNIT));
    expect(unit?.text.includes("PrivateTmp=yes")).toBe(isPrivate);
  },
);

test("a console is opened once QEMU listens, however long after it made the socket", async () => {
  const path = join(dir, "run/causeway-web1/machine/console");
  await mkdir(dirname(path), { recursive: true });
  const greeting = createServer((socket) => socket.end("hello"));
  await listen(greeting, join(dir, "other"));
  await link(join(dir, "other"), path);
  greeting.close();
  const opening = qemu.openConsole(machine);
  // Long enough for several attempts at a socket that refuses them.
  await Promise.race([opening, sleep(300)]);
  await rm(path);
  await listen(greeting, path);
  const { output, close } = await opening;
  expect(await text(output)).toBe("hello");
  close();
  greeting.close();
});

test("a machine's scripts and its unit are on disk, whole, before systemd learns of them", async () => {
  await using folder = await open(dir);
  const sync = vi.spyOn(Object.getPrototypeOf(folder), "sync").mockImplementation(async () => {
    systemd.calls.push("to disk");
  });
  try {
    await qemu.define(machine);
    // Each of the five files, and its name in its folder.
    expect(systemd.calls).toEqual([...Array(10).fill("to disk"), "daemon-reload"]);
    await qemu.connect(machine);
    expect(systemd.calls.slice(11, 14)).toEqual(["to disk", "to disk", expect.stringContaining("show")]);
  } finally {
    sync.mockRestore();
  }
});

test("a unit of the same name that was not made for this conversion is neither replaced, switched nor removed", async () => {
  const path = join(dir, "units", UNIT);
  await writeFile(path, "[Service]\nExecStart=/bin/true\n");
  await expect(qemu.draft(machine)).rejects.toMatchObject({ name: "MachineNotOursError" });
  await expect(qemu.define(machine)).rejects.toMatchObject({ name: "MachineNotOursError" });
  await expect(qemu.start(machine)).rejects.toMatchObject({ name: "MachineNotOursError" });
  await expect(qemu.stop(machine, { atOnce: true, signal })).rejects.toMatchObject({
    name: "MachineNotOursError",
  });
  await expect(qemu.undefine(machine)).rejects.toMatchObject({ name: "MachineNotOursError" });
  expect(await readFile(path, "utf8")).toContain("/bin/true");
});

test.each([
  [{ kind: "network", network: "default" }, "has no network"],
  [{ kind: "bridge", bridge: "lo" }, "is not a bridge"],
] as const)("a card at %j is refused, and nothing is written", async (link, why) => {
  machine = withShape({ cards: [{ address: "52:54:00:00:00:01", link }] });
  await expect(qemu.define(machine)).rejects.toThrow(why);
  expect(await readdir(join(dir, "units"))).toEqual([]);
});
