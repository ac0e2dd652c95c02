import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { beforeEach, expect, test } from "vitest";
import { ServiceName } from "#shared/protocol/fence.ts";
import { FenceKeeper } from "./fence-keeper.ts";
import { FakeSystemd } from "./testing/fake-systemd.ts";

let dir: string;
let systemd: FakeSystemd;
let fence: FenceKeeper;

beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), "causeway-units-"));
  systemd = new FakeSystemd(dir, []);
  fence = new FenceKeeper({
    ...{ dataDir: join(dir, "data"), etc: join(dir, "etc"), run: join(dir, "run") },
    ...{ systemctl: systemd.systemctl, now: () => new Date() },
  });
  return () => rmSync(dir, { recursive: true, force: true });
});

const set = (isUp: boolean) =>
  fence.set({ term: 1, isUp, lasting: true, mustBeUp: false, reason: "" }, ["db.service"]);
const dropIn = (unit: string, name: string) => {
  const path = join(dir, "etc/systemd/system", `${unit}.d`, name);
  mkdirSync(dirname(path), { recursive: true });
  return path;
};

test("what systemd stops together with a listed service runs again after the fence, and after that service", async () => {
  systemd.units = {
    "db.service": { RequiredBy: ["app.service", "db.target", "idle.service"], BoundBy: ["pool.service"] },
    "app.service": { RequiredBy: ["web.service"] },
    "db.target": { ConsistsOf: ["dump.timer"] },
  };
  const ran = ["app.service", "db.service", "db.target", "dump.timer", "pool.service", "web.service"];
  systemd.active = new Set([...ran, "cron.service"]);
  expect(await set(true)).toMatchObject({ services: ["db.service"] });
  expect([...systemd.active]).toEqual(["cron.service"]);
  systemd.calls = [];
  await set(false);
  expect([...systemd.active].sort()).toEqual([...ran, "cron.service"].sort());
  const starts = systemd.calls.filter((call) => call.startsWith("start"));
  expect(starts[0]).toBe("start db.service");
  // The target would start what the administrator has stopped.
  expect(starts).toContain("start --job-mode=ignore-dependencies db.target");
});

test("a service that is listed by an alias is kept down by its own name, too", async () => {
  systemd.units = { "db.service": { Id: ["mariadb.service"] } };
  systemd.active = new Set(["mariadb.service"]);
  expect(await set(true)).toMatchObject({ services: ["db.service", "mariadb.service"] });
  expect([...systemd.active]).toEqual([]);
  expect(systemd.isHeldBack("mariadb.service")).toBe(true);
  await set(false);
  expect([...systemd.active]).toEqual(["mariadb.service"]);
});

test("a dependent that does not start is named, and started by the next call", async () => {
  systemd.units = { "db.service": { RequiredBy: ["app.service"] } };
  systemd.active = new Set(["db.service", "app.service"]);
  await set(true);
  systemd.stuck.add("app.service");
  await expect(set(false)).rejects.toThrow("app.service");
  expect([...systemd.active]).toEqual(["db.service"]);
  systemd.stuck.clear();
  await set(false);
  expect([...systemd.active]).toEqual(["db.service", "app.service"]);
});

test("a part whose name has a dash, which systemd escapes, stays down, too", async () => {
  const part = "pg@15-my\\x2ddb.service";
  expect(ServiceName.safeParse(part).success).toBe(true);
  systemd.units = { "db.service": { ConsistsOf: [part] } };
  systemd.active = new Set(["db.service", part]);
  expect(await set(true)).toMatchObject({ services: ["db.service", part] });
  systemd.enabled = [part];
  systemd.restart();
  expect([...systemd.active]).toEqual([]);
  await set(false);
  expect([...systemd.active]).toEqual(["db.service", part]);
});

test("a part whose name is not understood is not skipped in silence: the fence is incomplete", async () => {
  systemd.units = { "db.service": { ConsistsOf: ["-x.service"] } };
  systemd.active = new Set(["db.service"]);
  await expect(set(true)).rejects.toThrow("-x.service (it stops with db.service or starts it, and its name");
  expect([...systemd.active]).toEqual([]);
});

test("a socket of a fenced service refuses clients, also after a restart, and takes them again afterwards", async () => {
  systemd.units = { "db.service": { TriggeredBy: ["db.socket", "db.timer"] } };
  systemd.active = new Set(["db.socket", "db.timer"]);
  systemd.enabled = ["db.socket", "db.timer"];
  expect(await set(true)).toMatchObject({ services: ["db.socket", "db.service"] });
  expect([...systemd.active]).toEqual(["db.timer"]);
  systemd.restart();
  expect([...systemd.active]).toEqual(["db.timer"]);
  for (let client = 0; client < 30; client++) expect(systemd.connect("db.socket")).toBe(false);
  await set(false);
  expect(systemd.connect("db.socket")).toBe(true);
});

test("a socket starts before its service, which ran, too", async () => {
  systemd.units = { "db.service": { TriggeredBy: ["db.socket"] } };
  systemd.active = new Set(["db.service", "db.socket"]);
  await set(true);
  await set(false);
  expect([...systemd.active]).toEqual(["db.socket", "db.service"]);
});

test("no drop-in of the administrator takes the fence's condition back", async () => {
  writeFileSync(dropIn("db.service", "override.conf"), "[Unit]\nConditionPathExists=\n");
  systemd.enabled = ["db.service"];
  await set(true);
  systemd.restart();
  expect([...systemd.active]).toEqual([]);
});

test("the drop-in that an older agent made goes with the fence", async () => {
  await set(true);
  writeFileSync(dropIn("db.service", "50-causeway-fence.conf"), "");
  await set(false);
  expect(existsSync(join(dir, "etc/systemd/system/db.service.d"))).toBe(false);
});

test("a systemd that does not read its files again keeps no service down, and is asked again by the next call", async () => {
  systemd.active = new Set(["db.service"]);
  await set(true);
  systemd.isBusy = true;
  await expect(set(false)).rejects.toMatchObject({
    name: "FenceIncompleteError",
    message: expect.stringContaining("systemd is busy"),
  });
  expect([...systemd.active]).toEqual(["db.service"]);
  systemd.isBusy = false;
  systemd.calls = [];
  await set(false);
  expect(systemd.calls).toEqual(["daemon-reload"]);
});
