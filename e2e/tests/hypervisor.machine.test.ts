/** Machines that stay, in this host's real libvirt: defined, started, seen on their console, and removed. */
import { once } from "node:events";
import { createReadStream } from "node:fs";
import { chmod, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from "vitest";
import { Asker } from "#agent/answer/asker.ts";
import { attachHttpNeighbour } from "#agent/answer/testing/http-neighbour.ts";
import { Libvirt } from "#agent/hypervisor/libvirt/libvirt.ts";
import type { KeptMachine } from "#agent/hypervisor/machine-keeper.ts";
import { QemuService } from "#agent/hypervisor/qemu/service/qemu-service.ts";
import { keptMachine } from "#agent/hypervisor/testing/kept-machine.ts";
import { ScriptedSystemd } from "#agent/hypervisor/testing/scripted-systemd.ts";
import { chatteringDisk, printingDisk } from "#agent/hypervisor/testing/tiny-guest.ts";
import { LibvirtHost } from "../machines/libvirt-host.ts";
import { runTool } from "../testing/run-tool.ts";

const libvirt = new Libvirt();
const { signal } = new AbortController();
const atOnce = { atOnce: true, signal };
const virsh = (...args: string[]) => runTool("virsh", "-q", "-c", "qemu:///system", ...args);
const NAME = "causeway-test";

let host: LibvirtHost;
let folder: string;
let machine: KeptMachine;

beforeAll(async () => {
  host = await LibvirtHost.start();
});
afterAll(() => host.stop());

beforeEach(async () => {
  folder = await mkdtemp("/var/tmp/causeway-libvirt-");
  await chmod(folder, 0o711);
  // A data disk that also has boot code, before the disk that boots.
  const contents = { sda: printingDisk("wrong disk"), sdb: chatteringDisk() };
  for (const [name, bytes] of Object.entries(contents)) await writeFile(join(folder, `${name}.raw`), bytes);
  const disks = Object.keys(contents).map((name) => ({
    ...{ name, path: join(folder, `${name}.raw`), format: "raw" as const },
  }));
  machine = keptMachine({ name: NAME, folder, disks });
});
afterEach(async () => {
  if ((await libvirt.power(machine)) === "on") await libvirt.stop(machine, atOnce);
  await libvirt.undefine(machine);
  await rm(folder, { recursive: true });
});

const withShape = (shape: Partial<KeptMachine["shape"]>) => ({
  ...machine,
  shape: { ...machine.shape, ...shape },
});

/** What the machine writes to its serial console from now on, at least `characters` long. */
async function console(characters: number): Promise<string> {
  const path = (await virsh("ttyconsole", NAME)).trim();
  let seen = "";
  for await (const chunk of createReadStream(path, { encoding: "latin1" })) {
    seen += chunk;
    if (seen.length >= characters) return seen;
  }
  throw new Error("the console ended");
}

test.each(["virtio", "scsi", "sata", "ide"] as const)(
  "a machine with its disks on %s starts from its boot disk, although another disk has boot code",
  async (diskBus) => {
    machine = withShape({ diskBus });
    await libvirt.define(machine);
    await libvirt.start(machine);
    expect(await console(2000)).toMatch(/x{200}$/);
    await libvirt.stop(machine, atOnce);
    await libvirt.undefine(machine);
    expect(await libvirt.power(machine)).toBeUndefined();
    expect((await readdir(folder)).sort()).toEqual(["sda.raw", "sdb.raw"]);
  },
);

test("a machine whose memory libvirt saved counts as on, continues where it was, and is ended without running", async () => {
  await libvirt.define(machine);
  await libvirt.start(machine);
  await console(200);
  await virsh("managedsave", NAME);
  expect((await virsh("domstate", NAME)).trim()).toBe("shut off");
  expect(await libvirt.power(machine)).toBe("on");
  await expect(libvirt.undefine(machine)).rejects.toMatchObject({ name: "MachineRunningError" });
  const stop = libvirt.stop(machine, { atOnce: false, signal });
  await expect(stop).rejects.toMatchObject({ name: "MachineNotStoppedError" });
  await libvirt.start(machine);
  expect(await console(200)).toMatch(/x{100}$/);
  await virsh("managedsave", NAME);
  await libvirt.stop(machine, atOnce);
  expect(await libvirt.power(machine)).toBe("off");
});

test("a machine with UEFI gets variables of its own, and is removed with them", async () => {
  machine = withShape({ firmware: "uefi" });
  await libvirt.define(machine);
  await libvirt.start(machine);
  const variables = /<nvram[^>]*>([^<]+)<\/nvram>/.exec(await virsh("dumpxml", NAME))?.[1] ?? "";
  expect((await readFile(variables)).length).toBeGreaterThan(0);
  await libvirt.stop(machine, atOnce);
  await libvirt.undefine(machine);
  await expect(readFile(variables)).rejects.toThrow("ENOENT");
});

test("an isolated card is in a network that leads nowhere, and pool and network go with the machine", async () => {
  await libvirt.define(machine);
  await libvirt.start(machine);
  const network = await virsh("net-dumpxml", `${NAME}-isolated`);
  expect(network).not.toMatch(/<forward|<ip |<dhcp/);
  expect(await virsh("domiflist", NAME)).toMatch(new RegExp(`${NAME}-isolated.*52:54:00:00:00:01`));
  expect(await virsh("vol-list", NAME)).toContain(join(folder, "sdb.raw"));
  await libvirt.stop(machine, atOnce);
  await libvirt.undefine(machine);
  for (const list of ["list", "net-list", "pool-list"])
    expect(await virsh(list, "--all", "--name"), list).not.toContain(NAME);
});

test.each([
  "</title><devices/><title>",
  "a & b ' \" $(reboot) `id`",
  "two\nlines\tand\u0001more",
  "grün 猫 \u{1f408}",
])("libvirt takes a machine whose source is called %j, and reads the same", async (title) => {
  machine = { ...machine, title };
  await libvirt.define(machine);
  const read = (await virsh("desc", NAME, "--title", "--config")).trimEnd();
  expect(read).toBe(title.replace(/\s+/g, " ").replace("\u0001", "\u{fffd}"));
});

test("a machine with the same name that another user defined stays as it is", async () => {
  const foreign = {
    ...machine,
    uuid: "11111111-2222-4333-8444-555555555555",
    ownerId: "cnv_2",
    title: "theirs",
  };
  await libvirt.define(foreign);
  try {
    await expect(libvirt.define(machine)).rejects.toMatchObject({ name: "MachineNotOursError" });
    await libvirt.undefine(machine);
    expect((await virsh("desc", NAME, "--title", "--config")).trim()).toBe("theirs");
  } finally {
    await libvirt.undefine(foreign);
  }
});

test("what is in a machine's isolated network is asked there, and this host does not reach it", async () => {
  await libvirt.define(machine);
  await libvirt.start(machine);
  const bridge = await libvirt.isolatedBridge(machine);
  using _ = await attachHttpNeighbour(bridge);
  const network = { gateway: "198.51.100.1", prefixLength: 24, addresses: ["198.51.100.7"] };
  await using asker = await Asker.start(bridge, [network], signal);
  const ask = (path: string) => {
    const check = { kind: "http", url: `http://198.51.100.7${path}`, certificate: "verified" } as const;
    return asker.refusal(check, "198.51.100.7", { connectLimitMs: 3000, requestLimitMs: 10_000 }, signal);
  };
  expect(await ask("/200")).toBeUndefined();
  expect(await ask("/503")).toBe("status 503");
  await expect(runTool("curl", "--max-time", "2", "http://198.51.100.7/200")).rejects.toThrow();
});

test("an isolated machine is moved to its bridge while it runs, and is there when it is started again", async () => {
  const bridge = "cwbr1";
  const shown = async () => (await virsh("domiflist", NAME)).trim().split(/\s+/).slice(1, 3);
  await runTool("ip", "link", "add", bridge, "type", "bridge");
  await runTool("ip", "link", "set", bridge, "up");
  try {
    machine = withShape({ cards: [{ address: "52:54:00:00:00:0a", link: { kind: "bridge", bridge } }] });
    await libvirt.define({ ...machine, isolated: true });
    await libvirt.start({ ...machine, isolated: true });
    expect(await shown()).toEqual(["network", `${NAME}-isolated`]);
    const console = await libvirt.openConsole(machine);
    await libvirt.connect(machine);
    await libvirt.connect(machine);
    expect(await shown()).toEqual(["bridge", bridge]);
    expect(await runTool("ip", "-brief", "link", "show", "master", bridge)).toMatch(/^vnet/);
    expect((await virsh("domif-getlink", NAME, "52:54:00:00:00:0a")).trim()).toMatch(/ up$/);
    // The machine itself sends nothing.
    const learnt = () => runTool("bridge", "fdb", "show", "br", bridge);
    await expect.poll(learnt, { timeout: 10_000 }).toMatch(/^52:54:00:00:00:0a dev vnet\d+ master/m);
    // It has run all the time.
    expect((await once(console.output, "data")).length).toBe(1);
    console.close();
    await libvirt.stop(machine, atOnce);
    await libvirt.start(machine);
    expect(await shown()).toEqual(["bridge", bridge]);
    await libvirt.stop(machine, atOnce);
  } finally {
    await runTool("ip", "link", "delete", bridge);
  }
});

test("a card at a bridge is a port of it, and a VLAN is refused where the bridge cannot tell it apart", async () => {
  const bridge = "cwbr0";
  const ports = () => runTool("ip", "-brief", "link", "show", "master", bridge);
  await runTool("ip", "link", "add", bridge, "type", "bridge");
  try {
    const folders = { unitsDir: join(folder, "units"), runtimeDir: join(folder, "run") };
    for (const one of Object.values(folders)) await mkdir(one);
    const { systemctl } = new ScriptedSystemd(folders);
    const qemu = new QemuService({ ...folders, systemctl, scriptsDir: join(folder, "scripts") });
    const withCard = (vlan: { vlan?: number }) => {
      const card = { address: "52:54:00:00:00:09", link: { kind: "bridge" as const, bridge, ...vlan } };
      return withShape({ cards: [card] });
    };
    const isOld = /^([0-9]|10)\./.test(await virsh("--version"));
    for (const keeper of isOld ? [libvirt, qemu] : [qemu])
      await expect(keeper.define(withCard({ vlan: 12 }))).rejects.toMatchObject({
        name: "MachineUnsupportedError",
      });
    machine = withCard({});
    await libvirt.define(machine);
    await libvirt.start(machine);
    expect(await ports()).toMatch(/^vnet/);
    await libvirt.stop(machine, atOnce);
    await qemu.define(machine);
    await qemu.start(machine);
    expect(await ports()).toMatch(/^cw[0-9a-f]{8}n0/);
    await qemu.stop(machine, atOnce);
    await runTool(join(folder, "scripts/cnv_1/unplug"));
    expect(await ports()).toBe("");
  } finally {
    await runTool("ip", "link", "delete", bridge);
  }
});
