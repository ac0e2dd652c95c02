/** A source that restarts into its boot environment while it is fenced, and comes back. */
import { execFileSync } from "node:child_process";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
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
/** What the boot environment does; one of an older version leaves no notice. */
function mark(path: string, term: number, notice?: string): void {
  mkdirSync(join(dir, path, ".."), { recursive: true });
  writeFileSync(join(dir, path), `${term}\n`);
  if (notice !== undefined) writeFileSync(join(dir, `${path}.notice`), notice);
}
/** What agetty and pam_motd show: what is there behind each name. */
const shown = () =>
  ["etc/issue.d/causeway-fence.issue", "etc/motd.d/causeway-fence"]
    .map((path) => join(dir, path))
    .flatMap((path) => (existsSync(path) ? [readFileSync(path, "utf8")] : []));
/** Whatever has the name of a notice, also a link to what is not there. */
const left = () =>
  ["etc/issue.d", "etc/motd.d", "etc/causeway", "boot"]
    .map((folder) => join(dir, folder))
    .flatMap((folder) => (existsSync(folder) ? readdirSync(folder) : []));
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
    expect(await prepare(path)).toMatchObject({ services: SERVICES });
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

test.each(places)(
  "the console says that a source is fenced (%s) before any agent has started, and says it once after that",
  async (path) => {
    await set(1, true);
    const { notice } = await prepare(path);
    expect(notice).toContain("FENCED since 2030-01-01T00:00:00.000Z");
    expect(notice).toContain(reason);
    expect(shown()).toEqual([]);
    mark(path, 1, notice);
    systemd.restart();
    expect(shown()).toEqual([notice, notice]);
    await keeper().resume(SERVICES);
    expect(shown()).toEqual([notice, notice]);
    expect(readdirSync(join(dir, "etc/issue.d"))).toHaveLength(1);
    await set(1, false);
    expect(left()).toEqual([]);
  },
);

test.each(places)(
  "the console of a source that comes back before it was read says nothing (%s)",
  async (path) => {
    mark(path, 0, "FENCED by an earlier cutover\n");
    await set(1, true);
    await prepare(path);
    systemd.restart();
    expect(shown()).toEqual([]);
    await keeper().resume(SERVICES);
    expect(left()).toEqual([]);
  },
);

test.each(places)(
  "what the console shows goes with a fence that a person broke before the agent has started (%s), also if that was interrupted",
  async (path) => {
    await set(1, true);
    const { notice } = await prepare(path);
    mark(path, 1, notice);
    systemd.restart();
    // The record comes first, and then the person's command is killed.
    const record = join(dir, "data/fence.json");
    writeFileSync(record, JSON.stringify({ ...JSON.parse(readFileSync(record, "utf8")), isUp: false }));
    expect(shown()).toEqual([notice, notice]);
    await keeper().resume(SERVICES);
    expect(left()).toEqual([]);
    expect(SERVICES.some((service) => systemd.isHeldBack(service))).toBe(false);
  },
);

test("agetty shows a link's text exactly as long as that is there", async () => {
  const text = (folder: string) =>
    execFileSync("script", ["-qec", `/usr/sbin/agetty --show-issue --issue-file ${folder}`, "/dev/null"], {
      encoding: "utf8",
    });
  await set(1, true);
  const { notice } = await prepare("boot/causeway-fenced");
  expect(text(join(dir, "etc/issue.d")).trim()).toBe("");
  mark("boot/causeway-fenced", 1, notice);
  expect(text(join(dir, "etc/issue.d")).trim().replaceAll("\r", "")).toBe(notice.trim());
});

test.each(places)("what prepares the return holds nothing back in a copy of the disks (%s)", async (path) => {
  await set(1, true);
  mark(path, 7);
  await prepare(path);
  expect(shown()).toEqual([]);
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
