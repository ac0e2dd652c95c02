import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { beforeEach, expect, test } from "vitest";
import { executionContext } from "../commands/testing/execution-context.ts";
import { FenceKeeper } from "./fence-keeper.ts";
import { endingHooks, setFenceExecutor } from "./set-fence.ts";

const CUTOVER = "cut_01hzy3v9xkq8m7n5t4r2w1e0aa";
const RECOVERY = "rcv_01hzy3v9xkq8m7n5t4r2w1e0aa";
/** What was done, in order. */
let done: string[];
let fence: FenceKeeper;
/** The hook's `before` does not succeed. */
let fails: boolean;
let isStuck: boolean;

beforeEach(() => {
  const dir = mkdtempSync(join(tmpdir(), "causeway-set-fence-"));
  done = [];
  [fails, isStuck] = [false, false];
  fence = new FenceKeeper({
    ...{ dataDir: join(dir, "data"), etc: join(dir, "etc"), run: join(dir, "run"), now: () => new Date() },
    systemctl: async (...words) => {
      if (words[0] === "show")
        return words[1]?.includes("ActiveState") ? "ActiveState=active" : "Id=db.service";
      if (words[0] !== "daemon-reload") done.push(words.join(" "));
      if (words[0] === "start" && isStuck) throw new Error("it does not start");
      return "";
    },
  });
  return () => rmSync(dir, { recursive: true });
});

const hooks = {
  before: async (cutoverId: string) => {
    done.push(`before ${cutoverId}`);
    if (fails) throw new Error("the hook did not succeed");
  },
  after: async () => {
    done.push("after");
    return undefined;
  },
};
const set = (isUp: boolean, { ownerId = CUTOVER, term = 1 } = {}) =>
  setFenceExecutor(fence, hooks, ["db.service"])(
    { ownerId, term, isUp, lasting: false, mustBeUp: false, reason: "" },
    executionContext(),
  );

test("the hooks of a cutover run before its services are stopped, and after they were started again", async () => {
  await set(true);
  await set(false);
  expect(done).toEqual([`before ${CUTOVER}`, "stop db.service", "start db.service", "after"]);
});

test("a hook that does not succeed leaves the services running, and what it did is undone with the fence", async () => {
  fails = true;
  await expect(set(true)).rejects.toThrow("the hook did not succeed");
  expect((await fence.read()).isUp).toBe(false);
  await set(false);
  expect(done).toEqual([`before ${CUTOVER}`, "after"]);
});

test("a source that comes back after a recovery is fenced without hooks", async () => {
  await set(true, { ownerId: RECOVERY });
  expect(done).toEqual(["stop db.service"]);
});

test("a fence that is up already, or whose time is over, runs no hook", async () => {
  await set(true);
  await set(true);
  await set(false);
  done = [];
  await expect(set(true)).rejects.toMatchObject({ name: "FenceInterruptedError" });
  expect(done).toEqual(["after"]);
});

test("a fence that a person broke fails a cutover, and a recovery learns that it is down", async () => {
  await set(true);
  await fence.break("ada");
  await expect(set(true)).rejects.toMatchObject({ name: "FenceInterruptedError" });
  expect(await set(true, { ownerId: RECOVERY })).toMatchObject({ isUp: false, lasting: false });
  await set(true, { term: 2 });
  await expect(set(true)).rejects.toMatchObject({ name: "FenceInterruptedError" });
});

test("what the hooks did is undone also if a service does not start, or a person breaks the fence", async () => {
  await set(true);
  isStuck = true;
  await expect(set(false)).rejects.toMatchObject({ name: "FenceIncompleteError" });
  expect(done.at(-1)).toBe("after");
  isStuck = false;
  await set(true, { term: 2 });
  await endingHooks(fence, hooks, fence.break("ada"));
  expect(done.slice(-2)).toEqual(["start db.service", "after"]);
});

test("an after that does not succeed fails the command, although the services run", async () => {
  await set(true);
  const failing = { ...hooks, after: async () => new Error("no balancer") as never };
  const down = setFenceExecutor(fence, failing, ["db.service"]);
  const wish = { term: 1, isUp: false, lasting: false, mustBeUp: false };
  const input = { ...wish, ownerId: CUTOVER, reason: "" };
  await expect(down(input, executionContext())).rejects.toThrow("no balancer");
  expect(done.at(-1)).toBe("start db.service");
});
