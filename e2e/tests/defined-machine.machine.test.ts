/** From a source's disks to a machine that runs in this host's real libvirt, by the CLI. */
import { existsSync } from "node:fs";
import { chmod, mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { chatteringDisk, printingDisk } from "#agent/hypervisor/testing/tiny-guest.ts";
import { signalMachine } from "#agent/lease/machine-processes.ts";
import type { DefinedMachine } from "#shared/protocol/defined-machine.ts";
import type { MachineOperation } from "#shared/protocol/machine-routes.ts";
import type { Recovery } from "#shared/protocol/recovery.ts";
import { LibvirtHost } from "../machines/libvirt-host.ts";
import { runTool } from "../testing/run-tool.ts";
import { Site } from "../testing/site.ts";
import { until } from "../testing/until.ts";

const NAME = "causeway-e2e";
const virsh = (...args: string[]) => runTool("virsh", "-q", "-c", "qemu:///system", ...args);

let host: LibvirtHost;
let scratch: string;
let site: Site;
let id: string;

beforeAll(async () => {
  host = await LibvirtHost.start();
  scratch = await mkdtemp("/var/tmp/causeway-defined-");
  await chmod(scratch, 0o711);
  // Where libvirt's user may pass, as the operations guide says.
  await mkdir(join(scratch, "images"), { mode: 0o711 });
  const data = join(scratch, "data.img");
  const system = join(scratch, "system.img");
  // A data disk with another system's old boot code.
  await writeFile(data, printingDisk("wrong disk"));
  await writeFile(system, chatteringDisk());
  site = await Site.start({
    ...{ disks: {}, otherDisks: { data, system }, imagesDir: join(scratch, "images") },
  });
  id = await site.convert("data", { disks: ["data", "system"], format: "qcow2" });
  expect(await site.ended(id)).toMatchObject({ state: "completed" });
});
afterAll(async () => {
  await machine("stop", "--at-once");
  await machine("remove");
  await site?.[Symbol.asyncDispose]();
  host?.stop();
  if (scratch) await rm(scratch, { recursive: true, force: true });
});

const machine = (action: string, ...words: string[]) =>
  site.installation.cli(["machine", action, id, ...words, "--json"]);
const define = (...words: string[]) =>
  machine("define", "--hypervisor", "libvirt", "--name", NAME, "--memory", "64", "--software", ...words);

async function answered(run: ReturnType<typeof machine>): Promise<MachineOperation> {
  const { code, stdout, stderr } = await run;
  expect(code, stderr).toBe(0);
  return JSON.parse(stdout) as MachineOperation;
}

const listed = async () => (await virsh("list", "--all", "--name")).split("\n").map((line) => line.trim());

test("where two disks could boot and nothing decides, the operator is asked, and nothing is defined", async () => {
  const { code, stderr } = await define("--dry-run");
  expect(code).not.toBe(0);
  expect(stderr).toContain("the firmware can start data, system");
  expect(stderr).toContain("--boot-disk");
  expect(await listed()).not.toContain(NAME);
});

test("a dry run shows what either hypervisor would get, and changes nothing", async () => {
  const libvirt = await answered(define("--boot-disk", "system", "--nic", "isolated", "--dry-run"));
  expect(libvirt.definitions?.map(({ name }) => name)).toEqual(["pool", "network", "domain"]);
  const words = ["--hypervisor", "qemu", "--name", NAME, "--boot-disk", "system", "--dry-run"];
  const qemu = await answered(machine("define", ...words));
  expect(qemu.definitions?.at(-1)?.name).toBe(`/etc/systemd/system/causeway-${NAME}.service`);
  expect(await listed()).not.toContain(NAME);
  expect(existsSync(`/etc/systemd/system/causeway-${NAME}.service`)).toBe(false);
});

test("a machine is defined and runs, also if its target host was away when it was asked to start it", async () => {
  const defined = await answered(define("--boot-disk", "system", "--nic", "isolated"));
  expect(defined.machine).toMatchObject({ name: NAME, bootDisk: "system", bootReason: "it was named" });
  expect(await listed()).toContain(NAME);
  await site.kill("target");
  const parameters = { id };
  const start = await site.api.changeMachine({ parameters, body: { action: "start" } });
  await expect(site.api.changeMachine({ parameters, body: { action: "remove" } })).rejects.toThrow(start.id);
  await site.restart("target");
  const started = await until("the machine", async () => {
    const { items } = await site.api.listMachineOperations({ parameters });
    return items.find((item) => item.id === start.id && item.endedAt);
  });
  expect(started).toMatchObject({ state: "succeeded", power: "on" });
  expect((await virsh("domstate", NAME)).trim()).toBe("running");
});

test("a machine that is on is not removed; once it is off it is, and its disks stay until they are asked for", async () => {
  const refused = await machine("remove", "--disks");
  expect(refused.code).not.toBe(0);
  expect(refused.stderr).toContain("is on and cannot be removed");
  expect(await answered(machine("stop", "--at-once"))).toMatchObject({ power: "off" });
  expect(await answered(machine("remove"))).toMatchObject({ disksRemoved: false });
  expect(await listed()).not.toContain(NAME);
  expect((await site.images(id)).length).toBeGreaterThan(0);
  expect(await answered(machine("remove", "--disks"))).toMatchObject({ disksRemoved: true });
  expect(await site.images(id)).toEqual([]);
});

test("a source that is gone is recovered: its machine runs, has answered on its console, and is found by its uuid", async () => {
  await site.kill("source");
  const { code, stdout, stderr } = await site.installation.cli([
    ...["recover", site.sourceId, "--target", site.targetId, "--test-network", "--hypervisor", "libvirt"],
    ...["--boot-disk", "system", "--memory", "64", "--software", "--expect", "xxxx", "--wait", "--json"],
  ]);
  expect(code, stderr).toBe(0);
  const recovery = JSON.parse(stdout) as Recovery;
  const { name, uuid } = recovery.machine as DefinedMachine;
  id = recovery.id;
  expect(recovery).toMatchObject({ state: "completed", answer: { reason: 'the console shows "xxxx"' } });
  expect(recovery.rtoSeconds).toBeGreaterThan(0);
  expect((await virsh("domstate", name)).trim()).toBe("running");
  // As the guard of a lease pauses it, which libvirt does not notice.
  expect(await signalMachine(uuid, "SIGSTOP")).toHaveLength(1);
  expect((await virsh("domstate", name)).trim()).toBe("running");
  expect(await answered(machine("stop", "--at-once"))).toMatchObject({ power: "off", ownerId: id });
  expect(await answered(machine("remove", "--disks"))).toMatchObject({ disksRemoved: true });
  expect(await listed()).not.toContain(name);
  expect(await site.images(id)).toEqual([]);
});
