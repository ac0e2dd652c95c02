import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import type { Disk } from "#shared/protocol/inventory.ts";
import { AfterAnswer } from "../commands/after-answer.ts";
import { executionContext } from "../commands/testing/execution-context.ts";
import { SwitchOff } from "../fence/switch-off.ts";
import { LocalBootMachine } from "../machine/boot-machine.ts";
import { ReturnFence } from "./return-fence.ts";

const UUID = "0d6d4c5e-2b1a-4e57-9f3c-6d2b7f0a1c11";
const disk = { path: "/dev/sda", partitions: [{ path: "/dev/sda1", content: { uuid: UUID } }] };
const fence = {
  ...{ term: 3, services: ["db.service"], notice: "FENCED\n", type: "ext4" },
  location: { volume: UUID, path: "/etc/causeway/fenced" },
};
const wish = { ownerId: "cut_1", isUp: true, lasting: true, mustBeUp: true, reason: "" };
let dir: string;
let calls: string[];

/** Its file systems are folders, which are always mounted. */
class MountedMachine extends LocalBootMachine {
  override async run(command: string, ...args: string[]) {
    calls.push([command, ...args].join(" "));
    return { status: 0, output: "" };
  }
}

beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), "causeway-return-fence-"));
  calls = [];
  mkdirSync(join(dir, UUID, "etc"), { recursive: true });
});
afterEach(() => rmSync(dir, { recursive: true, force: true }));

const marker = () => join(dir, UUID, "etc/causeway/fenced");
const returnFence = (job: object = { fence }) =>
  new ReturnFence(job, {
    machine: new MountedMachine(),
    ...{ disks: [disk as unknown as Disk], own: ["/dev/sda"], mounts: dir },
  });

test("the boot environment leaves a file that fences the source's own system, on a file system that is writable only then", async () => {
  const here = returnFence();
  const answer = { term: 3, isUp: true, lasting: true, services: ["db.service"] };
  expect(await here.executor({ ...wish, term: 3 }, executionContext())).toEqual(answer);
  expect(readFileSync(marker(), "utf8")).toBe("3\n");
  expect(readFileSync(`${marker()}.notice`, "utf8")).toBe("FENCED\n");
  expect(calls[0]).toBe("blockdev --setrw /dev/sda");
  expect(calls.slice(-3)).toEqual([
    `umount ${join(dir, UUID)}`,
    ...["blockdev --setro /dev/sda1", "blockdev --setro /dev/sda"],
  ]);
  expect(await here.executor({ ...wish, term: 3 }, executionContext())).toEqual(answer);
  expect(await here.read()).toMatchObject({ term: 3, isUp: true });
});

test("a source whose agent is older is fenced, too, without a text for its console", async () => {
  const { notice: _, ...older } = fence;
  await returnFence({ fence: older }).executor({ ...wish, term: 3 }, executionContext());
  expect(readdirSync(join(dir, UUID, "etc/causeway"))).toEqual(["fenced"]);
});

test.each<[string, object, object]>([
  ["of another lease", { fence }, { term: 4 }],
  ["that does not last", { fence }, { term: 3, lasting: false }],
  ["that is to go down", { fence }, { term: 3, isUp: false }],
  ["of a job without one", {}, { term: 3 }],
])("a fence %s is not left", async (_, job, change) => {
  const here = returnFence(job);
  const wanted = { ...wish, term: 3, ...change };
  await expect(here.executor(wanted, executionContext())).rejects.toMatchObject({
    name: "FenceInterruptedError",
  });
  expect(existsSync(marker())).toBe(false);
  expect((await here.read()).isUp).toBe(false);
});

test("a machine is switched off only if its own system would come back fenced", async () => {
  const here = returnFence();
  const afterAnswer = new AfterAnswer(0);
  const { promise: off, resolve: switchOff } = Promise.withResolvers<void>();
  const { executor } = new SwitchOff({
    dataDir: dir,
    fence: here,
    afterAnswer,
    switchOff: async () => switchOff(),
  });
  const input = { ownerId: "cut_1", term: 3 };
  await expect(executor(input, executionContext())).rejects.toMatchObject({ name: "WrongStateError" });
  await here.executor({ ...wish, term: 3 }, executionContext());
  await executor(input, executionContext());
  await off;
});
