import { expect, onTestFinished, test } from "vitest";
import { type Asked, FakeApi } from "./testing/fake-api.ts";
import { recordedRun } from "./testing/recorded-run.ts";

const agent = (id: string, name: string, more = {}) => ({
  ...{ id, name, presence: "connected", enrolledAt: "2030-01-01T00:00:00.000Z", ...more },
});
const source = (id: string, name: string, more = {}) => ({
  ...agent(id, name, more),
  ...{ environment: "original", enrolledFrom: "original", coldCloningReady: false },
});
const REVOKED = { revokedAt: "2030-01-02T00:00:00.000Z" };
const SOURCES = [
  source("agt_1", "db1"),
  source("agt_2", "db2"),
  source("agt_3", "db2", REVOKED),
  source("agt_4", "both"),
  source("agt_5", "Db1"),
];
const TARGETS = [agent("agt_8", "db1"), agent("agt_9", "kvm1"), agent("agt_6", "both")];

/** Runs a command line at an API with these agents, one on each page; returns what it asked besides lists. */
async function asked(...words: string[]): Promise<{ code: number; stderr: string; asked: Asked[] }> {
  const requests: Asked[] = [];
  const api = await FakeApi.start((request) => {
    const [path, query] = request.path.split("?");
    const list = path === "/sources" ? SOURCES : path === "/targets" ? TARGETS : undefined;
    if (!list) requests.push(request);
    const at = Number(new URLSearchParams(query).get("cursor") ?? 0);
    return list ? { items: list.slice(at, at + 1), cursor: list[at + 1] ? String(at + 1) : null } : {};
  });
  onTestFinished(() => api.close());
  const { code, stderr } = await recordedRun(words, api.environment);
  return { code, stderr, asked: requests };
}

test("a source and a target host are found by their names, also on later pages", async () => {
  const { asked: requests } = await asked("convert", "db1", "--type", "hot", "--target", "kvm1");
  expect(requests).toMatchObject([{ method: "POST", body: { sourceId: "agt_1", targetId: "agt_9" } }]);
});

test("a plan's standby and drills are on the target hosts that are named", async () => {
  const drills = ["--drill", "weekly", "--drill-target", "kvm1"];
  const created = await asked("protect", "db1", "--every", "1h", "--standby", "db1", ...drills);
  expect(created.asked).toMatchObject([
    { body: { sourceId: "agt_1", standbyTargetId: "agt_8", drills: { targetId: "agt_9" } } },
  ]);
  const edited = await asked("plan", "plan_1", "edit", "--standby", "kvm1");
  expect(edited.asked).toMatchObject([{ body: { standbyTargetId: "agt_9" } }]);
});

test.each([
  [["points", "db1"], "/sources/agt_1/recovery-points"],
  [["prune", "db1", "--dry-run"], "/sources/agt_1/prune"],
  [["lease", "db1"], "/sources/agt_1/lease"],
  [["preflight", "db1", "--type", "hot"], "/sources/agt_1/preflight"],
  [["revoke", "kvm1"], "/agents/agt_9"],
  [["revoke", "agt_7"], "/agents/agt_7"],
])("%j asks for %s", async (words, path) => {
  const { asked: requests } = await asked(...words);
  expect(requests[0]?.path).toContain(path);
});

test.each([
  ["a name that no source has", ["points", "db9"], 3, "there is no source db9"],
  ["a name of which only the case differs", ["points", "DB1"], 3, "there is no source DB1"],
  ["the beginning of a name", ["points", "db"], 3, "there is no source db"],
  ["a target host's name for a source", ["points", "kvm1"], 3, "there is no source kvm1"],
  ["an id of something else", ["points", "plan_1"], 3, "An id that begins with plan_"],
  ["a name of two, of which one is revoked", ["points", "db2"], 2, "agt_2 or agt_3 (revoked)"],
  ["a name of a source and a target host", ["revoke", "both"], 2, "agt_4 or agt_6"],
])("%s is refused, and nothing is asked of the control plane", async (_, words, code, said) => {
  const refused = await asked(...words);
  expect(refused).toMatchObject({ code, asked: [] });
  expect(refused.stderr).toContain(said);
});
