import { afterEach, beforeEach, expect, test } from "vitest";
import { FakeApi } from "../testing/fake-api.ts";
import { recordedRun } from "../testing/recorded-run.ts";

const at = "2030-01-05T21:00:00.000Z";
const window = { firstDay: "2030-01-05", from: "22:00", to: "02:00", timeZone: "Europe/Vienna" };
const shown = {
  ...{ id: "cut_1", version: 2, sourceId: "agt_1", targetId: "agt_2", planId: "plan_1" },
  ...{ state: "waiting", mode: "hold" },
  ...{ windows: [window], window: { opensAt: at, closesAt: "2030-01-06T01:00:00.000Z" }, deadlineAt: null },
  ...{
    needsApproval: true,
    switchSourceOff: false,
    quiesce: "hot",
    outageSeconds: null,
    runs: [{ id: "run_1", phase: "baseline" }],
  },
  forecast: {
    ...{ at, outageSeconds: 90, low: 60, high: 150, fits: true, basis: "partly measured", parts: [] },
  },
  syncs: { intervalSeconds: 900, cron: null, timeZone: "UTC", nextRunAt: at },
  ...{ states: [{ name: "waiting", at }], requestedBy: "ada", createdAt: at },
};
let api: FakeApi;
/** What the API says of the cutover. */
let answered: object;
let asked: { route: string; body: unknown }[];

beforeEach(async () => {
  asked = [];
  answered = shown;
  api = await FakeApi.start(({ method, path, body }) => {
    asked.push({ route: `${method} ${path}`, body });
    return method === "GET" && path.startsWith("/cutovers?") ? { items: [answered], cursor: null } : answered;
  });
});
afterEach(() => api.close());

const causeway = (...words: string[]) => recordedRun(words, api.environment);
const machine = ["--hypervisor", "libvirt", "--nic", "bridge:br0,keep=eth0"];

test("create sends the windows, the machine and the limits, and shows the forecast", async () => {
  const { code, stdout } = await causeway(
    ...["cutover", "create", "agt_1", "--target", "agt_2", "--window", "2030-01-05,22:00-02:00", ...machine],
    ...["--window", "2030-01-07..2030-01-08,01:00-03:00", "--time-zone", "Europe/Vienna", "--automatic"],
    ...["--needs-approval", "--margin", "300", "--answer", "192.0.2.7:5432", "--adapt"],
    ...["--answer", "http://192.0.2.7/health", "--check-script", "web"],
  );
  expect(stdout).toContain("partly measured), which fits");
  expect(stdout).toContain("still has to approve it: causeway cutover approve cut_1 --version 2");
  expect(stdout).toContain(`copies what has changed every 15 min 00 s, next at ${at}`);
  expect(code).toBe(0);
  expect(asked).toMatchObject([
    {
      route: "POST /cutovers",
      body: {
        ...{ sourceId: "agt_1", targetId: "agt_2", mode: "automatic", needsApproval: true, adapt: true },
        windows: [window, { firstDay: "2030-01-07", lastDay: "2030-01-08", from: "01:00", to: "03:00" }],
        machine: { hypervisor: "libvirt", cards: [{ keepAddressOf: "eth0" }] },
        ...{ marginSeconds: 300, script: "web" },
        check: {
          kind: "all",
          checks: [
            { kind: "tcp", host: "192.0.2.7", port: 5432 },
            { kind: "http", url: "http://192.0.2.7/health", certificate: "verified" },
          ],
        },
      },
    },
  ]);
});

test("new addresses are asked for, and show says what has them", async () => {
  const eth0 = { interface: "eth0", address: "192.0.2.20", prefixLength: 24, nameServers: [] };
  const v6 = {
    ...eth0,
    address: "2001:db8::20",
    prefixLength: 64,
    gateway: "2001:db9::1",
    gatewayOnLink: true,
  };
  const instead = { address: "192.0.2.10", prefixLength: 24 };
  answered = { ...shown, addresses: [{ ...eth0, nameServers: ["192.0.2.53"], instead }, v6] };
  const { stdout } = await causeway(
    ...["cutover", "create", "agt_1", "--target", "agt_2", "--window", "2030-01-05,22:00-02:00", ...machine],
    ...["--adapt", "--address", "eth0=192.0.2.20/24"],
    ...["--address", "eth0=2001:db8::20/64,gateway=2001:db9::1,on-link"],
  );
  expect(asked).toMatchObject([{ body: { adapt: true, addresses: [eth0, v6] } }]);
  expect(stdout).toContain(
    "  its eth0 has 192.0.2.20/24 in place of 192.0.2.10; its name servers are 192.0.2.53\n",
  );
  expect(stdout).toContain("  its eth0 has 2001:db8::20/64 by 2001:db9::1\n");
});

test("a new identity and a format are asked for, and show says what the machine's clients will see", async () => {
  answered = { ...shown, identity: { machineId: "kept", hostKeys: "new" } };
  const { stdout } = await causeway(
    ...["cutover", "create", "agt_1", "--target", "agt_2", "--window", "2030-01-05,22:00-02:00", ...machine],
    ...["--adapt", "--new-host-keys", "--format", "raw"],
  );
  expect(asked).toMatchObject([{ body: { adapt: true, machineId: "kept", hostKeys: "new", format: "raw" } }]);
  expect(stdout).toContain("  its system gets new SSH host keys, of which clients warn\n");
});

test("show lists the machine's disks with their format", async () => {
  const disks = [{ name: "vda", path: "/images/cut_1/vda.raw", format: "raw", sizeBytes: 2 ** 30 }];
  answered = { ...shown, state: "completed", endedAt: at, disks };
  expect((await causeway("cutover", "show", "cut_1")).stdout).toContain(
    "  vda: /images/cut_1/vda.raw (raw, 1.0 GiB)\n",
  );
});

test("create says of each check whether it is asked before the commit, and asks none before if it is not to", async () => {
  const networkChecks = [
    { check: "192.0.2.7:5432", beforeCommit: "yes" },
    { check: "http://pine/", beforeCommit: "by-name", why: "only if the name leads there" },
    { check: "192.0.2.8:22", beforeCommit: "no", why: "DHCP gives it" },
  ];
  answered = { ...shown, networkChecks };
  const create = (...words: string[]) => {
    const where = ["--target", "agt_2", "--window", "2030-01-05,22:00-02:00", ...machine];
    return causeway("cutover", "create", "agt_1", ...where, ...words);
  };
  const { stdout } = await create("--answer", "192.0.2.7:5432");
  expect(stdout).toContain("  192.0.2.7:5432 must answer before the commit, and again after it\n");
  expect(stdout).toContain(
    "  http://pine/ must answer after the commit, and before it only if the name leads there\n",
  );
  expect(stdout).toContain(
    "  192.0.2.8:22 is asked only after the commit, when there is no way back: DHCP gives it\n",
  );
  await create("--answer", "192.0.2.7:5432", "--answer-after-commit");
  expect(asked.map(({ body }) => (body as { asksIsolated?: boolean }).asksIsolated)).toEqual([true, false]);
  expect((await create("--answer-after-commit")).code).toBe(2);
});

test("a cold cutover says so, and what restart and reading cost", async () => {
  const part = (name: string, seconds: number, measured: boolean) => ({
    ...{ part: name, seconds, low: 0, high: 2 * seconds, measured },
  });
  const parts = [part("boot-environment", 40, true), part("scan", 130, false)];
  answered = { ...shown, quiesce: "cold", forecast: { ...shown.forecast, parts } };
  const { code, stdout } = await causeway(
    ...["cutover", "create", "agt_1", "--target", "agt_2", "--window", "2030-01-05,22:00-02:00", ...machine],
    ...["--quiesce", "cold", "--accept", "starts-unattended"],
  );
  expect(code).toBe(0);
  expect(asked).toMatchObject([{ body: { quiesce: "cold", accept: ["starts-unattended"] } }]);
  expect(stdout).toContain("quiesced cold: ");
  expect(stdout).toContain("starts in 40 s, and reads all disks in 2 min 10 s (guessed)");
  expect((await causeway("cutover", "create", "agt_1", "--quiesce", "warm")).code).toBe(2);
});

test("show, and each word of an operator, goes to its route", async () => {
  for (const verb of ["show", "go", "hold", "cancel", "rollback"])
    expect((await causeway("cutover", verb, "cut_1", "--json")).code).toBe(0);
  await causeway("cutover", "edit", "cut_1", "--hold");
  const { stdout } = await causeway("cutover", "forecast", "cut_1", "--json");
  expect(JSON.parse(stdout)).toMatchObject({ outageSeconds: 90, low: 60, high: 150, fits: true });
  expect((await causeway("cutovers")).stdout).toContain("cut_1");
  expect(asked.map(({ route }) => route)).toEqual([
    "GET /cutovers/cut_1",
    ...["go", "hold", "cancel", "rollback"].map((verb) => `POST /cutovers/cut_1/${verb}`),
    ...["PATCH /cutovers/cut_1", "GET /cutovers/cut_1", "GET /cutovers?limit=200"],
  ]);
});

test("the forecast lists the parts of the outage, and says of each whether it was measured", async () => {
  const range = { seconds: 20, low: 15, high: 130 };
  const parts = [
    { part: "quiesce", ...range, measured: true },
    { part: "boot", ...range, measured: false, guessedFrom: "another-machine" },
  ];
  answered = { ...shown, forecast: { ...shown.forecast, parts } };
  const { stdout } = await causeway("cutover", "forecast", "cut_1");
  const rows = stdout.trimEnd().split("\n").slice(1);
  expect(rows.map((row) => row.split(/ {2,}/))).toEqual([
    ["PART", "EXPECTED", "RANGE", "BASIS"],
    ["stopping the source's services", "20 s", "15 s to 2 min 10 s", "measured"],
    ["starting the machine", "20 s", "15 s to 2 min 10 s", "guessed from another machine of the source"],
  ]);
});

test("in the outage it says what took how long, what is left by the forecast, and what a second computation cost", async () => {
  const range = { low: 15, high: 130, measured: true };
  const parts = [
    { part: "quiesce", seconds: 20, ...range },
    { part: "boot", seconds: 40, ...range },
  ];
  const adapted = { changes: 14, stale: ["/etc/fstab was changed"], computeSeconds: 31, applySeconds: 2 };
  const outageParts = [{ part: "quiesce", seconds: 7 }];
  const notes = ["/etc/exports names 192.0.2.10"];
  answered = {
    ...shown,
    state: "checking",
    forecast: { ...shown.forecast, parts },
    outageParts,
    adapted,
    notes,
  };
  const { stdout } = await causeway("cutover", "show", "cut_1");
  expect(stdout).toContain("  of the outage, about 40 s are left\n");
  expect(stdout).toContain(
    "the system was adapted in 2 s, by 14 changes of files; they were computed again in 31 s: /etc/fstab was changed\n  look after: /etc/exports names 192.0.2.10\n",
  );
  const rows = (await causeway("cutover", "forecast", "cut_1")).stdout.trimEnd().split("\n").slice(1);
  expect(rows.map((row) => row.split(/ {2,}/).at(-1))).toEqual(["TOOK", "7 s", "measured"]);
});

test("an approval names the version that was read, and show names it", async () => {
  expect((await causeway("cutover", "show", "cut_1")).stdout).toContain("version 2, plan plan_1");
  expect((await causeway("cutover", "approve", "cut_1", "--version", "2")).code).toBe(0);
  expect(asked.at(-1)).toEqual({ route: "POST /cutovers/cut_1/approve", body: { version: 2 } });
});

test.each([
  ["cut_1", "POST /cutovers/cut_1/cancel"],
  ["rcv_1", "POST /recoveries/rcv_1/cancel"],
  ["drl_1", "POST /drills/drl_1/cancel"],
  ["cnv_1", "POST /conversions/cnv_1/cancel"],
  ["run_1", "POST /conversions/run_1/cancel"],
])("cancel knows by the id alone what it is about: %s", async (id, route) => {
  await causeway("cancel", id, "--json");
  expect(asked).toMatchObject([{ route }]);
});

test("of one that has ended, show names neither a window nor an approval to come", async () => {
  const deadlineAt = "2030-01-06T00:58:00.000Z";
  answered = { ...shown, state: "rolled-back", deadlineAt, endedAt: deadlineAt, sourceServes: "yes" };
  const { stdout } = await causeway("cutover", "show", "cut_1");
  expect(stdout).toContain("cut_1 of source agt_1 to target host agt_2: rolled-back");
  expect(stdout).toContain("the source serves again");
  expect(stdout).not.toMatch(/window|approve/);
  answered = { ...shown, deadlineAt };
  expect((await causeway("cutover", "show", "cut_1")).stdout).toContain(
    `rolled back at ${deadlineAt} unless`,
  );
});

test.each([
  [["cutover", "create", "agt_1", "--target", "agt_2", ...machine], "--window is missing"],
  [["cutover", "approve", "cut_1"], "--version is missing"],
  [["cutover", "edit", "cut_1"], "edit needs an option to change"],
  [["cutover", "edit", "cut_1", "--automatic", "--hold"], "either --automatic"],
  [["cutover", "edit", "cut_1", "--time-zone", "UTC"], "name those again"],
  [["cutover", "edit", "cut_1", "--window", "tomorrow"], "it takes DAY,FROM-TO"],
  [["cutover", "edit", "cut_1", "--window", "2030-02-30,22:00-02:00"], "a date such as"],
])("%j is wrong usage", async (words, message) => {
  const { code, stderr } = await causeway(...words);
  expect(stderr).toContain(message);
  expect(code).toBe(2);
  expect(asked).toEqual([]);
});

test("a cutover without a forecast says so", async () => {
  answered = { ...shown, state: "cancelled", endedAt: at, forecast: null };
  const { stdout } = await causeway("cutover", "forecast", "cut_1");
  expect(stdout).toBe("cut_1 is cancelled, and no forecast was made for it\n");
});
