/** The hooks of cutovers, as real scripts that a real agent runs. */
import { existsSync } from "node:fs";
import { mkdir, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import { SERVICE, SmallSite } from "../testing/small-site.ts";
import { until } from "../testing/until.ts";

let site: SmallSite;
beforeAll(async () => {
  site = await SmallSite.start();
});
afterAll(() => site?.[Symbol.asyncDispose]());

const file = (name: string) => join(site.dir, name);
const folder = () => site.sourceHost.pathOf("etc/causeway/cutover-hooks");
beforeEach(async () => {
  for (const path of [folder(), file("notes")]) await rm(path, { recursive: true, force: true });
  site.sourceHost.systemd.calls = [];
});

/** Each script first notes what it is, and the names of the variables that it got. */
async function hook(name: string, { before = ":", after = ":", limitSeconds = 30 }): Promise<void> {
  await mkdir(join(folder(), name), { recursive: true });
  for (const [phase, body] of Object.entries({ before, after })) {
    const note = `echo "${name} $CAUSEWAY_PHASE $CAUSEWAY_CUTOVER_ID $(env -u _ -u PWD -u SHLVL | cut -d= -f1 | sort | xargs)"`;
    const script = `#!/bin/bash\n${note} >> '${file("notes")}'\n${body}\n`;
    await writeFile(join(folder(), name, phase), script, { mode: 0o755 });
  }
  await writeFile(join(folder(), name, "time-limit"), `${limitSeconds}\n`);
}

const variables = "CAUSEWAY_CUTOVER_ID CAUSEWAY_PHASE PATH";
/** The notes of scripts that each ran for this cutover, without what is the same in each. */
async function noted(cutoverId: string): Promise<string[]> {
  const lines = existsSync(file("notes")) ? (await readFile(file("notes"), "utf8")).trim().split("\n") : [];
  const same = ` ${cutoverId} ${variables}`;
  return lines.map((line) => (line.endsWith(same) ? line.slice(0, -same.length) : line));
}

const lease = () => site.api.getLease({ parameters: { id: site.sourceId } });
const serving = () => [...site.sourceHost.systemd.active];
const stopped = () => site.sourceHost.systemd.calls.filter((call) => call.startsWith("stop "));
/** Whether a process of the source is there. */
const isRunning = async (pid: string) =>
  (await site.sourceHost.shell(`kill -0 ${pid} 2>/dev/null && echo yes || echo no`)) === "yes\n";

test("one that fails leads back before a service is stopped, what was begun is undone, and the cutover shows its last words", async () => {
  await hook("10-balancer", {});
  await hook("20-jobs", { before: "seq 100000; echo '17 jobs still run' >&2; exit 3" });
  await hook("30-never", {});
  const id = await site.cutOver();
  const { failure } = await site.reached(id, "rolled-back");
  expect(failure).toMatchObject({
    name: "CutoverHookFailedError",
    message: "the cutover hook 20-jobs/before did not succeed: it ended with status 3: 17 jobs still run",
  });
  expect((await site.installation.cli(["cutover", "show", id])).stdout).toContain("17 jobs still run");
  expect(await noted(id)).toEqual([
    "10-balancer before",
    "20-jobs before",
    "20-jobs after",
    "10-balancer after",
  ]);
  expect({ stopped: stopped(), serving: serving() }).toEqual({ stopped: [], serving: [SERVICE] });
});

test("one whose agent is killed is ended and undone before it runs again, and is killed with its children once its time is over", async () => {
  await hook("10-balancer", {});
  const pids = file("pids");
  const before = `trap '' TERM; sleep 600 & echo $$ $! >> ${pids}; wait`;
  await hook("20-hangs", { before, limitSeconds: 600 });
  const id = await site.cutOver();
  await until("the hook to hang", () => existsSync(pids) || undefined, 120, 100);
  await site.source.kill();
  const left = (await readFile(pids, "utf8")).trim().split(" ");
  expect(await Promise.all(left.map(isRunning))).toEqual([true, true]);
  await hook("20-hangs", { before, limitSeconds: 1 });
  site.source.start();
  const { failure } = await site.reached(id, "rolled-back");
  expect(failure?.message).toBe(
    "the cutover hook 20-hangs/before did not succeed: it did not end within 1 seconds",
  );
  const once = ["10-balancer before", "20-hangs before", "20-hangs after", "10-balancer after"];
  expect(await noted(id)).toEqual([...once, ...once]);
  const begun = (await readFile(pids, "utf8")).trim().split(/\s/);
  expect(await Promise.all(begun.map(isRunning))).toEqual([false, false, false, false]);
  expect({ stopped: stopped(), serving: serving() }).toEqual({ stopped: [], serving: [SERVICE] });
});

test("they run before a service is stopped, and are undone only when a person breaks the fence after the commit: one that fails then is named, the source serves, and the control plane knows within seconds", async () => {
  const look = `systemctl show --property=ActiveState --value ${SERVICE} >> ${file("notes")}`;
  await hook("10-balancer", { before: look });
  await hook("20-jobs", { after: "echo 'no such queue' >&2; exit 2" });
  const id = await site.cutOver();
  await site.reached(id, "completed");
  expect(await noted(id)).toEqual(["10-balancer before", "active", "20-jobs before"]);
  expect(serving()).toEqual([]);
  await expect(site.fenceCli("break", "--machine-is-off")).rejects.toThrow(
    /20-jobs\/after did not succeed: it ended with status 2: no such queue/,
  );
  expect((await noted(id)).slice(-2)).toEqual(["20-jobs after", "10-balancer after"]);
  expect(serving()).toEqual([SERVICE]);
  const { broken } = await site.fenceCli();
  expect(broken?.term).toBe((await lease()).term);
  const isKnown = async () => (await lease()).state === "none" || undefined;
  await until("the control plane to know", isKnown, 60, 200);
});
