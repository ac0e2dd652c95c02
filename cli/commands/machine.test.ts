import { afterEach, beforeEach, expect, test } from "vitest";
import { FakeApi } from "../testing/fake-api.ts";
import { recordedRun } from "../testing/recorded-run.ts";

const machine = {
  ...{ hypervisor: "libvirt", name: "pine-1", uuid: "0b2f5c0a-7d61-8c3e-8f00-1a2b3c4d5e6f" },
  ...{ bootDisk: "sdb", bootReason: "the source's system started from it" },
};
let api: FakeApi;
let asked: unknown[];
/** What the target host answers. */
let outcome: object;

beforeEach(async () => {
  asked = [];
  outcome = { state: "succeeded", machine };
  const head = { id: "cnv_1.define-machine.1", ownerId: "cnv_1", targetId: "agt_1", action: "define" };
  const at = { issuedAt: "2030-01-01T00:00:00.000Z", requestedBy: "ada" };
  api = await FakeApi.start(({ method, body }) => {
    if (method !== "POST") return { items: [{ ...head, ...at, endedAt: at.issuedAt, ...outcome }] };
    asked.push(body);
    return { ...head, ...at, state: "pending" };
  });
});
afterEach(() => api.close());

const machineCli = (...words: string[]) => recordedRun(["machine", ...words], api.environment);

test("defining a machine says what is defined where, and which disk boots for which reason", async () => {
  const { code, stdout } = await machineCli(
    ...["define", "cnv_1", "--hypervisor", "libvirt", "--nic", "bridge:br0,keep=eth0,vlan=12"],
    ...["--nic", "isolated", "--memory", "2048", "--disk-bus", "scsi", "--software"],
  );
  expect(stdout).toContain("pine-1 is defined in libvirt, switched off; sdb boots: the source's system");
  expect(code).toBe(0);
  expect(asked).toEqual([
    {
      ...{ action: "define", hypervisor: "libvirt", memoryMiB: 2048, diskBus: "scsi", dryRun: false },
      acceleration: "software",
      cards: [
        { link: { kind: "bridge", bridge: "br0", vlan: 12 }, keepAddressOf: "eth0" },
        { link: { kind: "isolated" } },
      ],
    },
  ]);
});

test("a dry run shows each document, and a terminal obeys nothing in it", async () => {
  outcome = { ...outcome, definitions: [{ name: "domain", text: "<domain>\n\u001b[2J</domain>" }] };
  const { stdout } = await machineCli("define", "cnv_1", "--hypervisor", "libvirt", "--dry-run");
  expect(stdout).toContain("pine-1 would be defined");
  expect(stdout).toContain("--- domain\n<domain>\n");
  expect(stdout).not.toContain("\u001b");
  expect(asked).toMatchObject([{ dryRun: true }]);
});

test("an adaptation shows each change with its reason, and a terminal obeys nothing in it", async () => {
  const adaptation = {
    changes: [
      { path: "/etc/fstab", why: ["disks have other names"], diff: "-/dev/sda2 /\n+UUID=8d9c /\u001b[2J" },
    ],
    ...{ commands: [{ command: "update-initramfs -u", seconds: 70 }], notes: ["kernel 5.10 has no driver"] },
    ...{ stale: ["/etc/hosts"], isApplied: true, computeSeconds: 90, applySeconds: 40 },
  };
  outcome = { state: "succeeded", action: "adapt", adaptation };
  const { code, stdout } = await machineCli(
    "adapt",
    "cnv_1",
    "--port",
    "eno1",
    "--drill",
    "--new-machine-id",
    "--address",
    "eno1=192.0.2.20/24,gateway=192.0.2.1,dns=192.0.2.53,dns=2001:db8::53",
  );
  expect(code).toBe(0);
  expect(asked).toEqual([
    {
      ...{ action: "adapt", ports: ["eno1"], machineId: "new", hostKeys: "kept", purpose: "drill" },
      addresses: [
        {
          ...{ interface: "eno1", address: "192.0.2.20", prefixLength: 24, gateway: "192.0.2.1" },
          nameServers: ["192.0.2.53", "2001:db8::53"],
        },
      ],
      dryRun: false,
    },
  ]);
  expect(stdout).toContain("--- /etc/fstab: disks have other names\n-/dev/sda2 /\n+UUID=8d9c /");
  expect(stdout).toContain("ran: update-initramfs -u (1 min 10 s)");
  expect(stdout).toContain("look after: kernel 5.10 has no driver");
  expect(stdout).toContain("computed again, because this is not as it was: /etc/hosts");
  expect(stdout).toContain("changed files: 1 (computed in 1 min 30 s, written in 40 s)");
  expect(stdout).not.toContain("\u001b");
});

test("what the target host refuses is an error with its words and its hint", async () => {
  outcome = {
    state: "failed",
    failure: {
      name: "MachineRunningError",
      message: "the machine is on",
      hint: "Stop it.",
      retryable: false,
    },
  };
  const { code, stderr } = await machineCli("remove", "cnv_1", "--disks");
  expect(code).not.toBe(0);
  expect(stderr).toContain("the machine is on");
  expect(stderr).toContain("Stop it.");
  expect(asked).toEqual([{ action: "remove", disks: true }]);
});

test.each([
  [["--nic", "br0"], "bridge:NAME"],
  [["--nic", "bridge:br0,vlan=x"], "vlan=NUMBER"],
  [["--nic", "isolated,vlan=5"], "no VLAN"],
  [["--nic", "bridge:br 0;reboot"], "the name of a bridge"],
  [["--disk-bus", "floppy"], "--disk-bus: one of virtio, scsi"],
])("%j is refused before anything is asked", async (options, why) => {
  const { code, stderr } = await machineCli("define", "cnv_1", "--hypervisor", "libvirt", ...options);
  expect(code).toBe(2);
  expect(stderr).toContain(why);
  expect(asked).toEqual([]);
});

test.each([
  ["eth0", "INTERFACE=ADDRESS/PREFIX"],
  ["eth0=192.0.2.20", "INTERFACE=ADDRESS/PREFIX"],
  ["eth0=192.0.2.20/24,mtu=9000", "not mtu=9000"],
  ["eth0=192.0.2.20/24,gateway=192.0.2.1,gateway=192.0.2.2", "one gateway"],
  ["eth0=192.0.2.020/24", "192.0.2.020 is not an internet address"],
  ["eth0=2001:DB8::20/64", "2001:DB8::20 is written as 2001:db8::20"],
  ["eth0=192.0.2.20/33", "at most 32 bits"],
  ["eth0=192.0.2.20/24,gateway=198.51.100.1", "on-link"],
  ["eth0=192.0.2.20/24,on-link", "there is no gateway"],
])("the address %s is refused before anything is asked", async (address, why) => {
  const { code, stderr } = await machineCli("adapt", "cnv_1", "--address", address);
  expect(code).toBe(2);
  expect(stderr).toContain(why);
  expect(asked).toEqual([]);
});

test("a command for a target host that is away says that it waits for that", async () => {
  outcome = { state: "pending", endedAt: undefined };
  setTimeout(() => {
    outcome = { state: "succeeded", machine, power: "on" };
  }, 500);
  const { code, stderr } = await machineCli("start", "cnv_1");
  expect(code).toBe(0);
  expect(stderr).toContain("target host agt_1 gets it when it is connected, also if you stop waiting");
});
