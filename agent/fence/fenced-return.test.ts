/** A source that restarts into its boot environment while it is fenced, and comes back. */
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { FenceKeeper } from "./fence-keeper.ts";
import { FakeSystemd } from "./testing/fake-systemd.ts";

const SERVICES = ["postgresql.service", "nginx.service"];
const reason = "The machine of cut_1 runs on oak in its place.";
let dir: string;
let systemd: FakeSystemd;
let isMounted: boolean;

beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), "causeway-fenced-return-"));
  systemd = new FakeSystemd(dir, SERVICES);
  systemd.active = new Set(["postgresql.service"]);
  isMounted = true;
});
afterEach(() => rmSync(dir, { recursive: true, force: true }));

const keeper = () =>
  new FenceKeeper({
    ...{ dataDir: join(dir, "data"), etc: join(dir, "etc"), run: join(dir, "run") },
    ...{ now: () => new Date("2030-01-01T00:00:00Z"), systemctl: systemd.systemctl },
    isMountPoint: async () => isMounted,
  });
const set = (term: number, isUp: boolean, lasting = false) =>
  keeper().set({ term, isUp, lasting, mustBeUp: false, reason }, SERVICES);
/** `/etc/causeway/fenced` if the boot image is staged on the root, another file otherwise. */
const places = [["etc/causeway/fenced"], ["boot/causeway-fenced"]];
const prepare = (path: string, term = 1) =>
  keeper().prepareReturn(term, { path: join(dir, path), mountPoint: dir });
/** What the boot environment does. */
function mark(path: string, term: number): void {
  mkdirSync(join(dir, path, ".."), { recursive: true });
  writeFileSync(join(dir, path), `${term}\n`);
}
async function comeBack(): Promise<string[]> {
  systemd.restart();
  const atFirst = [...systemd.active];
  await keeper().resume(SERVICES);
  return atFirst;
}

test.each(places)(
  "a source that was read comes back fenced by %s, and serves once its fence is down",
  async (path) => {
    await set(1, true);
    expect(await prepare(path)).toEqual(SERVICES);
    mark(path, 1);
    expect(await comeBack()).toEqual([]);
    expect(await keeper().read()).toMatchObject({ term: 1, isUp: true, lasting: true, interrupted: false });
    expect(readFileSync(join(dir, "etc/issue.d/causeway-fence.issue"), "utf8")).toContain("FENCED");
    systemd.restart();
    expect([...systemd.active]).toEqual([]);
    await set(1, false);
    expect([...systemd.active]).toEqual(["postgresql.service"]);
    expect(existsSync(join(dir, path))).toBe(false);
    expect(SERVICES.some((service) => systemd.isHeldBack(service))).toBe(false);
    systemd.restart();
    expect([...systemd.active]).toEqual(SERVICES);
  },
);

test.each(places)(
  "a source that comes back before it was read serves from its start (%s), and a late command changes nothing",
  async (path) => {
    await set(1, true);
    await prepare(path);
    expect(await comeBack()).toEqual(SERVICES);
    expect([...systemd.active]).toEqual(SERVICES);
    expect(await keeper().read()).toMatchObject({ term: 1, isUp: false });
    await set(1, true);
    expect([...systemd.active]).toEqual(SERVICES);
    await expect(prepare(path)).rejects.toMatchObject({ name: "FenceInterruptedError" });
  },
);

test.each(places)("what prepares the return holds nothing back in a copy of the disks (%s)", async (path) => {
  await set(1, true);
  mark(path, 7);
  await prepare(path);
  rmSync(join(dir, "run"), { recursive: true });
  expect(SERVICES.some((service) => systemd.isHeldBack(service))).toBe(false);
});

test("an agent that is restarted before its machine is keeps the source fenced", async () => {
  await set(1, true);
  await prepare("boot/causeway-fenced");
  await keeper().resume(SERVICES);
  expect(await keeper().read()).toMatchObject({ isUp: true, interrupted: false });
  expect([...systemd.active]).toEqual([]);
});

test("a source is fenced if it cannot look whether its boot environment has fenced it", async () => {
  await set(1, true);
  await prepare("boot/causeway-fenced");
  isMounted = false;
  await comeBack();
  expect(await keeper().read()).toMatchObject({ isUp: true, interrupted: true });
  expect([...systemd.active]).toEqual([]);
});

test("a fence of a later lease does not end with a restart that an earlier one prepared", async () => {
  await set(1, true);
  await prepare("boot/causeway-fenced");
  await set(2, true);
  await comeBack();
  expect(await keeper().read()).toMatchObject({ term: 2, isUp: true });
  await expect(prepare("boot/causeway-fenced")).rejects.toMatchObject({ name: "FenceInterruptedError" });
});

test("a person at the console breaks the fence of a source that came back", async () => {
  await set(1, true);
  await prepare("boot/causeway-fenced");
  mark("boot/causeway-fenced", 1);
  systemd.restart();
  await keeper().break("ada");
  expect([...systemd.active]).toEqual(["postgresql.service"]);
  expect(await comeBack()).toEqual(SERVICES);
});

test("a source whose services ran, or whose fence is down, does not restart into its boot environment", async () => {
  await expect(prepare("boot/causeway-fenced")).rejects.toMatchObject({ name: "FenceInterruptedError" });
  await set(1, true);
  systemd.active.add("nginx.service");
  await expect(prepare("boot/causeway-fenced")).rejects.toMatchObject({ name: "FenceInterruptedError" });
});
