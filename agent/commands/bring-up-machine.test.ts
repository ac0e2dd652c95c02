import { execFileSync, spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { type AddressInfo, createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, onTestFinished, test } from "vitest";
import { loopbackReach } from "../answer/testing/loopback-reach.ts";
import { PlainKeeper } from "../answer/testing/plain-keeper.ts";
import type { KeptMachine, MachineKeeper } from "../hypervisor/machine-keeper.ts";
import { QemuService } from "../hypervisor/qemu/service/qemu-service.ts";
import { keptMachine } from "../hypervisor/testing/kept-machine.ts";
import { ScriptedSystemd } from "../hypervisor/testing/scripted-systemd.ts";
import { printingDisk } from "../hypervisor/testing/tiny-guest.ts";
import { bringUpExecutor } from "./bring-up-machine.ts";
import type { MachineDeps } from "./machine.ts";
import { executionContext } from "./testing/execution-context.ts";
import { noLeases } from "./testing/no-leases.ts";

/** Some containers may not. */
function canMakeBridges(): boolean {
  return spawnSync("unshare", ["--net", "ip", "link", "add", "bridge0", "type", "bridge"]).status === 0;
}

const console_ = { kind: "console" } as const;

function depsOf(
  keeper: unknown,
  machine: KeptMachine,
  scriptsFolder = "/nowhere",
): Parameters<typeof bringUpExecutor>[0] {
  const records = { read: async () => ({ machine }), write: async () => {}, forget: async () => {} };
  const keepers = { libvirt: keeper, qemu: keeper } as Record<"libvirt" | "qemu", MachineKeeper>;
  const images = {} as MachineDeps["images"];
  return {
    keepers,
    records,
    images,
    agentId: "agt_1",
    leases: noLeases(),
    requireAsker: async () => {},
    reach: loopbackReach({ scriptsFolder }),
  };
}

const world = (keeper: PlainKeeper, context = executionContext()) => {
  const bringUp = bringUpExecutor(depsOf(keeper, keptMachine()));
  return (check: Parameters<typeof bringUp>[0]["check"], timeoutSeconds = 60) =>
    bringUp({ ownerId: "cnv_1", check, timeoutSeconds }, context);
};

test("a machine that was off is switched on, and its login prompt is its answer", async () => {
  const keeper = new PlainKeeper();
  const done = world(keeper)(console_);
  keeper.output.write("GRUB\nLinux version 6\nweb1 lo");
  keeper.output.write("gin: ");
  expect(await done).toMatchObject({
    machine: { name: "web1" },
    answer: { reason: "the login prompt appeared" },
  });
  expect([keeper.isOn, keeper.enters, keeper.closed]).toEqual([true, 0, 1]);
});

test("a machine that is on already is asked for the prompt that an interrupted command missed", async () => {
  const keeper = new PlainKeeper();
  keeper.isOn = true;
  keeper.output.write("web1 login: ");
  await world(keeper)(console_);
  expect(keeper.enters).toBe(1);
});

test("another text counts instead of a prompt only if it was asked for", async () => {
  const keeper = new PlainKeeper();
  const done = world(keeper)({ kind: "console", expect: "database is ready" });
  keeper.output.write("web1 login: ");
  keeper.output.write("database is ready\n");
  expect((await done).answer.reason).toBe('the console shows "database is ready"');
});

test.each([
  ["Kernel panic - not syncing: no init\n", "the kernel panicked"],
  ["grub rescue> ", "rescue prompt"],
])("a machine that shows %j failed, and stays on", async (text, why) => {
  const keeper = new PlainKeeper();
  const done = world(keeper)(console_);
  keeper.output.write(text);
  await expect(done).rejects.toMatchObject({
    name: "MachineSilentError",
    message: expect.stringContaining(why),
  });
  expect([keeper.isOn, keeper.closed]).toEqual([true, 1]);
});

test("a machine that shows nothing in time is silent, and one that is switched off says so", async () => {
  await expect(world(new PlainKeeper())(console_, 1)).rejects.toMatchObject({
    name: "MachineSilentError",
    message: expect.stringContaining("nothing within 1 s; last: switched on"),
  });
  const keeper = new PlainKeeper();
  const done = world(keeper)(console_);
  keeper.output.end();
  await expect(done).rejects.toThrow("it was switched off");
});

test("a command that is cancelled ends with that, and not as a silent machine", async () => {
  const controller = new AbortController();
  const keeper = new PlainKeeper();
  const done = world(keeper, { ...executionContext(), signal: controller.signal })(console_);
  controller.abort(new Error("cancelled"));
  await expect(done).rejects.toThrow("cancelled");
  expect(keeper.closed).toBe(1);
});

test("a port answers once it accepts connections", async () => {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  const done = world(new PlainKeeper())({ kind: "tcp", host: "127.0.0.1", port });
  setTimeout(() => server.listen(port, "127.0.0.1"), 200);
  expect((await done).answer.reason).toBe(`127.0.0.1 accepts connections on port ${port}`);
  server.close();
  await expect(world(new PlainKeeper())({ kind: "tcp", host: "127.0.0.1", port: 1 }, 1)).rejects.toThrow(
    "ECONNREFUSED",
  );
});

test("a machine is not started if its address answers already, unless an interrupted command has started it", async () => {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const check = { kind: "tcp" as const, host: "127.0.0.1", port: (server.address() as AddressInfo).port };
  const keeper = new PlainKeeper();
  await expect(world(keeper)(check)).rejects.toMatchObject({
    name: "AddressInUseError",
    message: `something already answers at 127.0.0.1:${check.port}: the source may still run`,
  });
  expect(keeper.isOn).toBe(false);
  keeper.isOn = true;
  expect((await world(keeper)(check)).answer.reason).toContain("accepts connections");
  server.close();
});

test("what answers at an address that the machine gave up is not its answer", async () => {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  onTestFinished(() => void server.close());
  const check = { kind: "tcp" as const, host: "127.0.0.1", port: (server.address() as AddressInfo).port };
  const keeper = new PlainKeeper();
  const bringUp = bringUpExecutor(depsOf(keeper, keptMachine({ formerAddresses: ["127.0.0.1"] })));
  await expect(
    bringUp({ ownerId: "cnv_1", check, timeoutSeconds: 1 }, executionContext()),
  ).rejects.toMatchObject({
    name: "MachineSilentError",
    message: expect.stringContaining("127.0.0.1 is its source's address"),
  });
});

// Only root can give QEMU a user of its own, and run scripts.
describe.runIf(process.getuid?.() === 0)("as root", () => {
  let dir: string;
  beforeEach(() => {
    dir = mkdtempSync(join(tmpdir(), "causeway-up-"));
  });
  afterEach(() => rmSync(dir, { recursive: true, force: true }));

  test("a script that does not succeed in time is the failure, which has the end of what it wrote", async () => {
    writeFileSync(join(dir, "web"), "#!/bin/sh\necho counting; echo no rows >&2; exit 1\n", { mode: 0o755 });
    const keeper = new PlainKeeper();
    const bringUp = bringUpExecutor(depsOf(keeper, keptMachine(), dir));
    const check = { kind: "all" as const, checks: [console_, { kind: "script" as const, name: "web" }] };
    keeper.output.write("web1 login: ");
    const input = { ownerId: "cnv_1", check, timeoutSeconds: 1 };
    await expect(bringUp(input, executionContext())).rejects.toMatchObject({
      name: "MachineSilentError",
      message:
        "the machine web1 does not answer: only this: the login prompt appeared, within 1 s; last: the check script web: it ended with status 1: no rows",
      details: { scriptOutput: "counting\n\nno rows\n" },
    });
    expect(keeper.isOn).toBe(true);
  });

  test.runIf(canMakeBridges())(
    "a check that is about another machine than the isolated one is reported as left out",
    async () => {
      const keeper = new PlainKeeper();
      keeper.bridge = `cwu${process.pid % 100_000}`;
      execFileSync("ip", ["link", "add", keeper.bridge, "type", "bridge"]);
      onTestFinished(() => void execFileSync("ip", ["link", "delete", keeper.bridge]));
      const isolatedNetworks = [{ gateway: "198.51.100.1", prefixLength: 24, addresses: ["198.51.100.7"] }];
      const bringUp = bringUpExecutor(depsOf(keeper, keptMachine({ isolatedNetworks })));
      const check = { kind: "tcp" as const, host: "203.0.113.9", port: 443 };
      const input = { ownerId: "cnv_1", check, timeoutSeconds: 60, leavesOut: true as const };
      const why = "203.0.113.9 leads to 203.0.113.9, which is no address of the isolated machine";
      expect(await bringUp(input, executionContext())).toMatchObject({
        leftOut: [{ check: "203.0.113.9:443", why }],
        answer: { reason: `203.0.113.9:443 was not asked in the isolated network: ${why}` },
      });
    },
  );

  test("the first thing that a machine prints is not missed", async () => {
    const dirs = { unitsDir: join(dir, "units"), runtimeDir: join(dir, "run") };
    for (const folder of Object.values(dirs)) mkdirSync(folder);
    const { systemctl } = new ScriptedSystemd(dirs);
    const keeper = new QemuService({ ...dirs, systemctl, scriptsDir: join(dir, "scripts") });
    const path = join(dir, "sda.raw");
    writeFileSync(path, printingDisk("\r\nweb1 login: "));
    const machine = keptMachine({
      ...{ hypervisor: "qemu", folder: dir, bootDisk: "sda" },
      disks: [{ name: "sda", path, format: "raw" }],
    });
    await keeper.define(machine);
    const bringUp = bringUpExecutor(depsOf(keeper, machine));
    const input = { ownerId: "cnv_1", check: console_, timeoutSeconds: 60 };
    expect((await bringUp(input, executionContext())).answer.reason).toBe("the login prompt appeared");
    await keeper.stop(machine, { atOnce: true, signal: new AbortController().signal });
  });
});
