import { expect, test } from "vitest";
import type { ProgramOutput } from "../../machine/machine.ts";
import { LvmTools } from "./lvm-tools.ts";

const fillWith = (status: ProgramOutput | undefined) =>
  new LvmTools({ run: async () => status }).fillOf({ group: "vg0", name: "no-such-volume" });

test("a snapshot that keeps more than one chunk has more than the start, whatever its tables say so far", async () => {
  expect(await fillWith({ status: 0, output: "0 409600 snapshot 32/81920 16\n" })).toBe("more");
  expect(await fillWith({ status: 0, output: "0 409600 snapshot 16/81920 16\n" })).toBe("empty");
});

test("a snapshot counts as lost only if the kernel says so, not if its state cannot be found out", async () => {
  expect(await fillWith({ status: 0, output: "0 409600 snapshot Invalid\n" })).toBe("lost");
  const unknown = { name: "LvmFailedError", details: { code: "status" } };
  await expect(fillWith({ status: 1, output: "Device does not exist" })).rejects.toMatchObject(unknown);
  await expect(fillWith({ status: undefined, output: "" })).rejects.toMatchObject(unknown);
  await expect(fillWith({ status: 0, output: "0 409600 linear 254:0 0" })).rejects.toMatchObject(unknown);
  await expect(fillWith(undefined)).rejects.toMatchObject(unknown);
});
