import { cpSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join, relative } from "node:path";
import { setTimeout } from "node:timers/promises";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { FenceKeeper } from "./fence-keeper.ts";
import { lockFence } from "./fence-lock.ts";
import { setFenceExecutor } from "./set-fence.ts";
import { FakeSystemd } from "./testing/fake-systemd.ts";

const SERVICES = ["postgresql.service", "nginx.service"];
const at = "2030-01-01T00:00:00.000Z";
const reason = "The machine of rcv_1 runs on oak in its place.";
let dir: string;
let systemd: FakeSystemd;

beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), "causeway-fence-"));
  systemd = new FakeSystemd(dir, SERVICES);
  systemd.active = new Set(["postgresql.service"]);
});
afterEach(() => rmSync(dir, { recursive: true, force: true }));

/** The fence as an agent that has just started has it; systemd obeys the conditions of its files. */
function keeper(): FenceKeeper {
  return new FenceKeeper({
    dataDir: join(dir, "data"),
    ...{ etc: join(dir, "etc"), run: join(dir, "run") },
    now: () => new Date(at),
    systemctl: systemd.systemctl,
    hasProcesses: async (group) => systemd.left.has(basename(group)),
    lock: async (dataDir, now) => {
      const lock = new DisposableStack();
      lock.use(await lockFence(dataDir, now));
      // As the kernel does.
      void systemd.killed.promise.then(() => lock.dispose());
      return lock;
    },
  });
}

const dropIn = (service: string, root = "etc") =>
  join(dir, `${root}/systemd/system/${service}.d/zzz-causeway-fence.conf`);
const isHeldBack = (service: string) => systemd.isHeldBack(service);
const set = (term: number, isUp: boolean, lasting: boolean, mustBeUp = false) =>
  keeper().set({ term, isUp, lasting, mustBeUp, reason }, SERVICES);
const up = (term: number, lasting = true) => set(term, true, lasting);
const down = (term: number) => set(term, false, true);
/** The copy is made: the fence that quieted the source is to last. */
const keep = (term: number) => set(term, true, true, true);
const restart = () => systemd.restart();
const notice = () => readFileSync(join(dir, "etc/issue.d/causeway-fence.issue"), "utf8");

test("a fenced source stops the listed services, starts none of them, and says why before and after a login", async () => {
  expect(await up(1)).toMatchObject({
    term: 1,
    isUp: true,
    services: SERVICES,
    stopped: ["postgresql.service"],
  });
  expect([...systemd.active]).toEqual([]);
  for (const service of SERVICES) expect(isHeldBack(service)).toBe(true);
  expect(notice()).toContain(`FENCED since ${at}`);
  expect(notice()).toContain(reason);
  expect(notice()).toContain("causeway fence break");
  expect(readFileSync(join(dir, "etc/motd.d/causeway-fence"), "utf8")).toBe(notice());
});

test("the fence is a file and conditions, so after a restart the services stay down without the agent", async () => {
  await up(1);
  restart();
  expect([...systemd.active]).toEqual([]);
});

test("a quiet fence that is to last asks systemd about all units at once, and stops none of them again", async () => {
  await up(1, false);
  systemd.calls = [];
  await keep(1);
  const words = systemd.calls.map((call) => call.split(" ")[0]);
  expect(words).toEqual(["show", "show", "show", "daemon-reload", "show"]);
});

test("a fence that does not last keeps the services down, and leaves nothing for a copy of the disks", async () => {
  expect(await up(1, false)).toMatchObject({ isUp: true, lasting: false, stopped: ["postgresql.service"] });
  expect([...systemd.active]).toEqual([]);
  for (const service of SERVICES) expect(isHeldBack(service)).toBe(true);
  expect(existsSync(join(dir, "etc"))).toBe(false);
  await keeper().resume(SERVICES);
  expect(await keep(1)).toMatchObject({ isUp: true, lasting: true });
  restart();
  expect([...systemd.active]).toEqual([]);
  await down(1);
  expect(SERVICES.some(isHeldBack)).toBe(false);
  expect([...systemd.active]).toEqual(["postgresql.service"]);
});

test.each([
  ["restarted", restart],
  ["had a service started by a person", () => void systemd.active.add("nginx.service")],
])("a source that %s since it was quiet has no lasting fence, and is quieted again", async (_, happens) => {
  await up(1, false);
  happens();
  await keeper().resume(SERVICES);
  await expect(keep(1)).rejects.toMatchObject({ name: "FenceInterruptedError" });
  await expect(up(1)).rejects.toMatchObject({ name: "FenceInterruptedError" });
  await up(1, false);
  expect([...systemd.active]).toEqual([]);
  expect(await keep(1)).toMatchObject({ isUp: true, lasting: true });
});

test("a service whose processes outlive its stop is not quiet, and does not get quiet by itself", async () => {
  systemd.left.add("postgresql.service");
  await expect(up(1, false)).rejects.toMatchObject({
    name: "FenceIncompleteError",
    message: expect.stringMatching(/postgresql\.service \(.*processes of it still run.*KillMode=/),
  });
  expect(await keeper().read()).toMatchObject({ isUp: true, unstopped: ["postgresql.service"] });
  await expect(keep(1)).rejects.toMatchObject({ name: "FenceInterruptedError" });
  systemd.left.clear();
  await down(1);
  expect([...systemd.active]).toEqual(["postgresql.service"]);
});

test.each([
  ["was broken by a person", () => keeper().break("ada")],
  ["was forgotten with the agent's data", async () => rmSync(join(dir, "data"), { recursive: true })],
  ["is down again", () => down(1)],
  ["is one of a later lease", () => up(2, false)],
])("a fence that %s is not made to last, as the source may have served", async (_, happens) => {
  await up(1, false);
  await happens();
  const before = await keeper().read();
  await expect(keep(1)).rejects.toMatchObject({ name: "FenceInterruptedError" });
  expect(await keeper().read()).toEqual(before);
});

test("a service that ran before the fence was to last counts also if it has stopped since", async () => {
  await up(1, false);
  systemd.active.add("nginx.service");
  await expect(keep(1)).rejects.toMatchObject({ name: "FenceInterruptedError" });
  systemd.active.clear();
  await expect(keep(1)).rejects.toMatchObject({ name: "FenceInterruptedError" });
});

test("a source that lost power while its fence was made to last tells so, as its services ran", async () => {
  await up(1, false);
  await keep(1);
  // The record comes first; none of the files reached the disk.
  rmSync(join(dir, "etc"), { recursive: true });
  restart();
  expect([...systemd.active]).toEqual(SERVICES);
  await keeper().resume(SERVICES);
  expect([...systemd.active]).toEqual([]);
  await expect(keep(1)).rejects.toMatchObject({ name: "FenceInterruptedError" });
});

test("a service that was in a restart is stopped, and runs again afterwards", async () => {
  systemd.activeState = "deactivating";
  expect(await up(1)).toMatchObject({ stopped: ["postgresql.service"] });
  await down(1);
  expect([...systemd.active]).toEqual(["postgresql.service"]);
});

test("a service that still writes its last data is not quiet", async () => {
  await up(1, false);
  systemd.active.add("nginx.service");
  systemd.activeState = "deactivating";
  await expect(keep(1)).rejects.toMatchObject({ name: "FenceInterruptedError" });
});

test("a fence that lasts is not weakened by a late repetition of the one that does not", async () => {
  await up(1);
  expect(await up(1, false)).toMatchObject({ lasting: true });
  restart();
  expect([...systemd.active]).toEqual([]);
});

test("the parts of a listed service stay down, too, because a condition of the whole does not hold them back", async () => {
  const cluster = "postgresql@15-main.service";
  systemd.units = {
    "postgresql.service": { ConsistsOf: [cluster, "postgresql.slice"] },
    [cluster]: { ConsistsOf: ["postgresql.service"] },
  };
  systemd.active = new Set(["postgresql.service", cluster]);
  expect(await up(1)).toMatchObject({ services: [...SERVICES, cluster] });
  expect([...systemd.active]).toEqual([]);
  for (const service of [...SERVICES, cluster]) expect(isHeldBack(service)).toBe(true);
  await down(1);
  expect([...systemd.active]).toEqual(["postgresql.service", cluster]);
  expect(isHeldBack(cluster)).toBe(false);
});

test("a service whose parts systemd does not tell is stopped, and the fence is incomplete", async () => {
  systemd.unknown = "postgresql.service";
  await expect(up(1)).rejects.toMatchObject({
    name: "FenceIncompleteError",
    message: expect.stringContaining("postgresql.service"),
  });
  expect([...systemd.active]).toEqual([]);
  systemd.unknown = undefined;
  expect(await up(1)).toMatchObject({ isUp: true, unstopped: [] });
});

test("a source that gets its right back has no trace of the fence, and what ran before runs again", async () => {
  await up(1);
  expect(await down(1)).toMatchObject({ term: 1, isUp: false });
  expect([...systemd.active]).toEqual(["postgresql.service"]);
  for (const path of ["causeway/fenced", "issue.d/causeway-fence.issue", "motd.d/causeway-fence"])
    expect(existsSync(join(dir, "etc", path))).toBe(false);
  for (const service of SERVICES) expect(existsSync(dropIn(service))).toBe(false);
});

test("a late command of an earlier lease neither fences the source again, nor frees a fenced one", async () => {
  await up(1);
  await down(1);
  expect(await up(1)).toMatchObject({ isUp: false });
  await up(2);
  expect(await down(1)).toMatchObject({ term: 2, isUp: true });
  expect([...systemd.active]).toEqual([]);
  await up(3, false);
  expect(await down(2)).toMatchObject({ term: 3, isUp: true, lasting: false });
});

test("whenever the agent is killed while it puts the fence up or takes it down, a repetition finishes it", async () => {
  for (let at = 1; ; at++) {
    systemd.calls = [];
    systemd.active = new Set(["postgresql.service"]);
    systemd.killedAt = at;
    const term = 10 * at;
    systemd.killed = Promise.withResolvers<void>();
    const isKilled = await Promise.race([
      up(term)
        .then(() => down(term))
        .then(() => false),
      systemd.killed.promise.then(() => true),
    ]);
    systemd.killedAt = Number.POSITIVE_INFINITY;
    if ((await keeper().read()).isUp || !isKilled) {
      await up(term + 1);
      expect([...systemd.active]).toEqual([]);
    }
    await up(term + 1);
    await down(term + 1);
    for (const service of SERVICES) expect(existsSync(dropIn(service))).toBe(false);
    expect([...systemd.active]).toContain("postgresql.service");
    if (!isKilled) break;
  }
});

test("a service that does not stop keeps no other one running, and is named", async () => {
  systemd.active = new Set(SERVICES);
  systemd.stuck = new Set(["postgresql.service"]);
  await expect(up(1)).rejects.toMatchObject({
    name: "FenceIncompleteError",
    message: expect.stringContaining("postgresql.service (Error: postgresql.service does not stop)"),
  });
  expect([...systemd.active]).toEqual(["postgresql.service"]);
  for (const service of SERVICES) expect(isHeldBack(service)).toBe(true);
  expect(notice()).toContain("COULD NOT BE STOPPED, stop them by hand: postgresql.service");
  expect(await keeper().read()).toMatchObject({ isUp: true, unstopped: ["postgresql.service"] });
  systemd.stuck.clear();
  expect(await up(1)).toMatchObject({ unstopped: [], stopped: SERVICES });
  expect([...systemd.active]).toEqual([]);
  expect(notice()).not.toContain("COULD NOT");
});

test("a service that does not start keeps no other one down, and is started by the next call", async () => {
  systemd.active = new Set(SERVICES);
  await up(1);
  systemd.stuck = new Set(["postgresql.service"]);
  await expect(down(1)).rejects.toMatchObject({ name: "FenceIncompleteError" });
  expect([...systemd.active]).toEqual(["nginx.service"]);
  systemd.stuck.clear();
  await down(1);
  expect([...systemd.active]).toContain("postgresql.service");
});

test("a source whose agent starts stops what was started beside its fence, and what was listed meanwhile", async () => {
  const wish = { term: 1, isUp: true, lasting: true, mustBeUp: false, reason };
  await keeper().set(wish, ["postgresql.service"]);
  rmSync(dropIn("postgresql.service"));
  systemd.active = new Set(SERVICES);
  await keeper().resume(["nginx.service"]);
  expect([...systemd.active]).toEqual([]);
  for (const service of SERVICES) expect(isHeldBack(service)).toBe(true);
  expect(await keeper().read()).toMatchObject({ term: 1, since: at, services: SERVICES });
  await down(1);
  for (const service of SERVICES) expect(existsSync(dropIn(service))).toBe(false);
  systemd.calls = [];
  await keeper().resume(SERVICES);
  expect(systemd.calls).toEqual([]);
});

test("a person at the console breaks the fence, which is kept with time and user, and a later lease fences again", async () => {
  await expect(keeper().break("ada")).rejects.toMatchObject({ name: "FenceNotUpError" });
  await up(1);
  expect(await keeper().break("ada")).toMatchObject({ isUp: false, broken: { at, by: "ada" } });
  expect([...systemd.active]).toEqual(["postgresql.service"]);
  expect(await keeper().read()).toMatchObject({ broken: { at, by: "ada" } });
  expect(await up(1)).toMatchObject({ isUp: false });
  expect(await up(2)).toMatchObject({ isUp: true, broken: { term: 1, by: "ada" } });
  expect(await keeper().break("grace")).toMatchObject({ broken: { term: 2, by: "grace" } });
});

/** Breaks the fence, and is killed at a call to systemd; resolves with whether it was. */
async function isKilledBreaking(call: number): Promise<boolean> {
  systemd.calls = [];
  systemd.killedAt = call;
  systemd.killed = Promise.withResolvers<void>();
  const broken = keeper().break("ada");
  const isKilled = await Promise.race([broken.then(() => false), systemd.killed.promise.then(() => true)]);
  systemd.killedAt = Number.POSITIVE_INFINITY;
  return isKilled;
}

describe.each([
  ["breaks it again", () => keeper().break("grace")],
  ["starts the agent", () => keeper().resume(SERVICES)],
])("the fence of a person who was killed while breaking it, and %s,", (_, again) => {
  async function expectBroken(term: number): Promise<void> {
    expect(await keeper().read()).toMatchObject({ isUp: false, services: [], stopped: [] });
    expect((await keeper().read()).broken).toEqual({ term, at, by: "ada" });
    expect([...systemd.active]).toEqual(["postgresql.service"]);
    expect(SERVICES.some(isHeldBack)).toBe(false);
    expect(existsSync(join(dir, "etc/causeway/fenced"))).toBe(false);
  }

  test("is broken by the first word, wherever the files were when it was killed", async () => {
    const [etc, saved] = [join(dir, "etc"), join(dir, "saved")];
    for (let left = 0, files = 1; left <= files; left++) {
      await up(left + 1);
      cpSync(etc, saved, { recursive: true });
      // Before systemd reads its files again, only the record and these files have changed.
      expect(await isKilledBreaking(1)).toBe(true);
      const entries = readdirSync(saved, { recursive: true, withFileTypes: true });
      const paths = entries.filter((one) => one.isFile()).map((one) => join(one.parentPath, one.name));
      files = paths.length;
      for (const path of paths.slice(files - left)) cpSync(path, join(etc, relative(saved, path)));
      await again();
      await expectBroken(left + 1);
    }
  });

  test("is broken by the first word, whatever it had asked of systemd", async () => {
    for (let call = 1; ; call++) {
      await up(call);
      if (!(await isKilledBreaking(call))) break;
      await again();
      await expectBroken(call);
    }
    expect(systemd.calls).toEqual(["daemon-reload", "start postgresql.service"]);
  });
});

test("a fence whose record is in another data folder is not said to be none", async () => {
  await up(1);
  expect(await keeper().foreignMarker()).toBeUndefined();
  rmSync(join(dir, "data"), { recursive: true });
  const marker = join(dir, "etc/causeway/fenced");
  expect(await keeper().foreignMarker()).toBe(marker);
  await expect(keeper().break("ada")).rejects.toMatchObject({
    name: "FenceNotUpError",
    message: expect.stringContaining(`${marker} keeps services down`),
    hint: expect.stringContaining(`remove ${marker}`),
  });
});

test("a fence that a person breaks while a service is still being stopped is broken, and no service is stopped after it", async () => {
  let broken: Promise<unknown> | undefined;
  systemd.active = new Set(SERVICES);
  systemd.whileStopping = async () => {
    broken ??= keeper().break("ada");
    await setTimeout(50);
  };
  await up(1);
  await broken;
  expect(await keeper().read()).toMatchObject({ isUp: false, stopped: [], broken: { term: 1, by: "ada" } });
  expect([...systemd.active]).toEqual(SERVICES);
  expect(SERVICES.some(isHeldBack)).toBe(false);
});

test("the command answers with what holds, and a terminal obeys nothing of its reason", async () => {
  const noHooks = { before: async () => {}, after: async () => undefined };
  const setFence = setFenceExecutor(keeper(), noHooks, SERVICES);
  const wish = { term: 1, isUp: true, lasting: true, mustBeUp: false };
  const input = { ...wish, ownerId: "rcv_1", reason: "a \u001b[2J \\n b" };
  expect(await setFence(input, {} as never)).toEqual({
    ...{ term: 1, isUp: true, lasting: true },
    services: SERVICES,
  });
  for (const sign of ["\u001b", "\\"]) expect(notice()).not.toContain(sign);
  expect(await setFence({ ...input, isUp: false }, {} as never)).toEqual({
    term: 1,
    isUp: false,
    lasting: false,
    services: [],
  });
});
