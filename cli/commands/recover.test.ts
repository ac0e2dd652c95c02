import { afterEach, beforeEach, expect, test } from "vitest";
import { FakeApi } from "../testing/fake-api.ts";
import { recordedRun } from "../testing/recorded-run.ts";

const at = "2030-01-01T00:00:00.000Z";
const begun = {
  ...{ id: "rcv_1", sourceId: "agt_1", pointId: "rp_1", pointCreatedAt: at, targetId: "agt_2" },
  ...{ network: "test", state: "running", requestedBy: "ada", createdAt: at },
};
const machine = {
  ...{ hypervisor: "libvirt", name: "pine-1", uuid: "0b2f5c0a-7d61-8c3e-8f00-1a2b3c4d5e6f" },
  ...{ bootDisk: "sda", bootReason: "it is the only disk" },
};
let api: FakeApi;
let asked: { url: string | undefined; body: unknown }[];
/** How the recovery ends. */
let end: object;

beforeEach(async () => {
  asked = [];
  const answer = { seconds: 41, reason: "the login prompt appeared" };
  end = { state: "completed", machine, answer, rtoSeconds: 93.5 };
  api = await FakeApi.start(({ method, path, body }) => {
    if (method !== "POST") return { ...begun, ...end, endedAt: at };
    asked.push({ url: path, body });
    return begun;
  });
});
afterEach(() => api.close());

const recover = (...words: string[]) =>
  recordedRun(
    ["recover", "agt_1", "--target", "agt_2", "--hypervisor", "libvirt", ...words],
    api.environment,
  );

test("a recovery that is waited for shows its machine, its point and the time until the first answer", async () => {
  const { code, stdout } = await recover("--test-network", "--wait", "--memory", "2048", "--adapt");
  expect(stdout).toContain("the machine pine-1 (libvirt) runs");
  expect(stdout).toContain("recovery point rp_1, recorded 2030-01-01T00:00:00.000Z");
  expect(stdout).toMatch(/first answer after 1 min.*the login prompt appeared/);
  expect(code).toBe(0);
  expect(asked).toMatchObject([
    {
      url: "/sources/agt_1/recoveries",
      body: { network: "test", machine: { memoryMiB: 2048 }, adapt: true, check: { kind: "console" } },
    },
  ]);
});

test("a new identity is asked for, and shown with the recovery; otherwise the system keeps its own", async () => {
  end = { ...end, identity: { machineId: "new", hostKeys: "new" } };
  const words = ["--adapt", "--new-machine-id", "--new-host-keys"];
  const { stdout } = await recover("--test-network", "--wait", ...words);
  expect(stdout).toContain("gets a new machine id and new SSH host keys, of which clients warn\n");
  end = { ...end, identity: { machineId: "kept", hostKeys: "kept" } };
  expect((await recover("--test-network", "--wait", "--adapt")).stdout).not.toContain("its system");
  expect(asked).toMatchObject([
    { body: { adapt: true, machineId: "new", hostKeys: "new" } },
    { body: { adapt: true, machineId: "kept", hostKeys: "kept" } },
  ]);
});

test("new addresses are asked for, and shown with the recovery", async () => {
  const eth0 = { interface: "eth0", address: "192.0.2.20", prefixLength: 24, nameServers: [] };
  end = { ...end, addresses: [eth0], notes: ["/etc/exports names 192.0.2.10\u001b[2J"] };
  const words = ["--adapt", "--address", "eth0=192.0.2.20/24"];
  const { stdout } = await recover("--test-network", "--wait", ...words);
  expect(stdout).toContain("  its eth0 has 192.0.2.20/24\n  look after: /etc/exports names 192.0.2.10");
  expect(stdout).not.toContain("\u001b");
  expect(asked).toMatchObject([{ body: { adapt: true, addresses: [eth0] } }]);
});

test("the format of the disks is asked for, and each disk is shown with its own", async () => {
  const disks = [{ name: "vda", path: "/images/rcv_1/vda.raw", format: "raw", sizeBytes: 2 ** 30 }];
  end = { ...end, disks };
  const { stdout } = await recover("--test-network", "--wait", "--format", "raw");
  expect(asked).toMatchObject([{ body: { format: "raw" } }]);
  expect(stdout).toContain("  vda: /images/rcv_1/vda.raw (raw, 1.0 GiB)\n");
});

test("production needs the word that the source is off, which is sent", async () => {
  const words = ["--production", "--source-is-off", "--nic", "bridge:br0,keep=eth0"];
  expect((await recover(...words)).code).toBe(0);
  expect(asked).toMatchObject([{ body: { network: "production", othersOff: true } }]);
});

test("programs get the time as rtoSeconds", async () => {
  const { stdout } = await recover("--test-network", "--wait", "--json");
  expect(JSON.parse(stdout)).toMatchObject({ state: "completed", rtoSeconds: 93.5 });
});

test("a machine that does not answer gives the failure with its hint, and not success", async () => {
  const failure = {
    name: "MachineSilentError",
    message: "it does not answer",
    hint: "Look.",
    retryable: false,
  };
  end = { state: "failed", failure };
  const { code, stderr } = await recover("--test-network", "--wait");
  expect(code).toBe(1);
  expect(stderr).toContain("it does not answer");
  expect(stderr).toContain("Look.");
});

test.each([
  ["192.0.2.7:5432", { kind: "tcp", host: "192.0.2.7", port: 5432 }],
  ["[2001:db8::7]:22", { kind: "tcp", host: "2001:db8::7", port: 22 }],
  [
    "https://[2001:db8::7]:8443/health",
    { kind: "http", url: "https://[2001:db8::7]:8443/health", certificate: "verified" },
  ],
  ["HTTP://Pine", { kind: "http", url: "http://pine/", certificate: "verified" }],
])("--answer %s waits for an answer there", async (answer, check) => {
  expect((await recover("--test-network", "--answer", answer)).code).toBe(0);
  expect(asked).toMatchObject([{ body: { check } }]);
});

test("several --answer have to succeed all, and the certificates of https are as the operator says", async () => {
  const words = ["--answer", "192.0.2.7:22", "--answer", "https://192.0.2.7/", "--any-certificate"];
  expect((await recover("--test-network", ...words)).code).toBe(0);
  const checks = [
    { kind: "tcp", host: "192.0.2.7", port: 22 },
    { kind: "http", url: "https://192.0.2.7/", certificate: "any" },
  ];
  expect(asked).toMatchObject([{ body: { check: { kind: "all", checks } } }]);
});

test("a check script runs after what else shows that the machine is up", async () => {
  const script = { kind: "script", name: "web.sh" };
  await recover("--test-network", "--check-script", "web.sh", "--expect", "ready");
  await recover("--test-network", "--check-script", "web.sh", "--answer", "192.0.2.7:22");
  expect(asked).toMatchObject([
    { body: { check: { checks: [{ kind: "console", expect: "ready" }, script] } } },
    { body: { check: { checks: [{ kind: "tcp", host: "192.0.2.7", port: 22 }, script] } } },
  ]);
});

test.each([
  [[], "--test-network or --production"],
  [["--test-network", "--production"], "--test-network or --production"],
  [["--production", "--nic", "bridge:br0"], "--source-is-off"],
  [["--test-network", "--source-is-off"], "--source-is-off is about --production"],
  [["--test-network", "--cpus", "0"], "--cpus: at least 1"],
  [["--test-network", "--firmware", "efi"], "--firmware: one of bios, uefi"],
  [["--test-network", "--answer", "192.0.2.7"], "not 192.0.2.7\n"],
  [["--test-network", "--format", "vmdk"], "one of raw, qcow2"],
  [["--test-network", "--answer", "pine"], "ADDRESS:PORT"],
  [["--test-network", "--answer", "pine:22", "--expect", "x"], "name one"],
  [["--test-network", "--check-script", "../hooks/web"], "the name of a file"],
  [["--test-network", "--answer", "pine:70000"], "65535"],
  [["--test-network", "--answer", "https://ada:x@pine/"], "would be shown"],
  [["--test-network", "--answer", "http://"], "ADDRESS:PORT or URL"],
  [["--test-network", "--answer", "http://pine/", "--any-certificate"], "begins with https"],
  [["--test-network", ...Array(9).fill(["--answer", "pine:22"]).flat()], "at most 8"],
])("%j is refused with what is missing, and nothing is asked for", async (words, why) => {
  const { code, stderr } = await recover(...words);
  expect(code).toBe(2);
  expect(stderr).toContain(why);
  expect(asked).toEqual([]);
});

test("a proof is asked for with its time, and its result is shown with what was not compared", async () => {
  const hashed = {
    ...{ list: "a".repeat(64), files: 3, bytes: 3072, found: 9, foundAll: true, changed: 4, unreadable: 1 },
    ...{ leftOut: [{ place: "/boot/efi", why: "vfat is not compared" }], seconds: 2 },
  };
  const compared = {
    equal: 3,
    bytes: 3072,
    moved: 0,
    different: 0,
    differences: [],
    unopened: [],
    seconds: 5,
  };
  end = { ...end, proof: { pointId: "rp_1", outcome: "equal", at, hashed, compared } };
  const { code, stdout } = await recover("--test-network", "--wait", "--prove", "--prove-seconds", "90");
  expect(code).toBe(0);
  expect(asked).toMatchObject([{ body: { proveSeconds: 90 } }]);
  expect(stdout).toMatch(/the copy is proved: 3 files \(3.*KiB\) of recovery point rp_1/);
  expect(stdout).toContain(
    "3 of 9 files were read on the source, 4 have changed since the recovery point, 1 cannot be read, /boot/efi is left out",
  );
});

test("a difference names the first files, and a proof that came to nothing says why", async () => {
  const differences = [{ fileSystem: "aa", path: "/etc/ho\\x0asts", what: "content" }];
  const compared = { equal: 1, bytes: 5, moved: 0, different: 2, differences, unopened: [], seconds: 5 };
  end = { state: "failed", proof: { pointId: "rp_1", outcome: "different", at, compared } };
  const different = await recover("--test-network", "--wait", "--prove");
  expect(different).toMatchObject({ code: 1, stdout: expect.stringContaining("the copy differs: 2 files") });
  expect(different.stdout).toContain("/etc/ho\\x0asts has another content");
  expect(asked).toMatchObject([{ body: { proveSeconds: 60 } }]);
  end = { state: "failed", proof: { pointId: "rp_1", outcome: "unknown", reason: "no boot image", at } };
  const { stdout } = await recover("--test-network", "--wait", "--prove");
  expect(stdout).toContain("the copy is not proved: no boot image; no file of recovery point rp_1");
});

test.each([
  ["--prove-seconds", "90"],
  ["--prove", "--prove-seconds", "3"],
])("a time without a proof, or one that is too short, is wrong usage: %s %s", async (...words) => {
  expect(await recover("--test-network", ...words)).toMatchObject({ code: 2 });
  expect(asked).toEqual([]);
});
