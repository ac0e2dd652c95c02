import { existsSync } from "node:fs";
import { readFile, writeFile } from "node:fs/promises";
import { expect, test } from "vitest";
import {
  decodeGrubEnvironment,
  encodeGrubEnvironment,
  withGrubVariable,
} from "../boot-loaders/grub-environment.ts";
import { withoutWriting } from "../boot-loaders/testing/untouched.ts";
import { flushFileSystems } from "../machine/boot-machine.ts";
import { takeBackArming } from "./cold-executors.ts";
import { allowOnlyIfArmed } from "./restart-rules.ts";
import { aSourceWithGrub, conversionId, type Source } from "./testing/source-with-grub.ts";

test("only the conversion that armed the machine restarts it, in the boot in which it did, until that is taken back", async () => {
  const source = await aSourceWithGrub();
  const refusal = allowOnlyIfArmed(source.states, source.machine, "boot-1");
  const into = "boot-environment" as const;
  await source.stage(source.image);
  expect(await refusal({ conversionId, into })).toBe("this agent has not armed it for that");
  await source.arm();
  expect(await refusal({ conversionId, into })).toBeUndefined();
  expect(await refusal({ conversionId: "cnv_2", into })).toBe("this agent has not armed it for that");
  expect(await refusal({ conversionId, into: "original" })).toBe("it runs its original system");
  expect(await allowOnlyIfArmed(source.states, source.machine, "boot-2")({ conversionId, into })).toMatch(
    "since it was armed",
  );
  await source.disarm();
  expect(await refusal({ conversionId, into })).toBe("this agent has not armed it for that");
});

test.each<[string, (source: Source) => Promise<unknown>]>([
  ["/boot/grub/custom.cfg", ({ machine }) => machine.put("/boot/grub/custom.cfg", "of its owner")],
  ["/boot/grub/grubenv", ({ machine }) => machine.put("/boot/grub/grubenv", "#".repeat(1024))],
  ["/boot/grub/grub.cfg", ({ machine }) => machine.put("/boot/grub/grub.cfg", "# updated")],
  ["/boot/causeway/cnv-1/vmlinuz", ({ machine }) => machine.unlink("/boot/causeway/cnv-1/vmlinuz")],
])("a machine whose %s changed after it was armed is not restarted", async (name, change) => {
  const source = await aSourceWithGrub();
  const refusal = allowOnlyIfArmed(source.states, source.machine, "boot-1");
  await source.stage(source.image);
  await source.arm();
  await change(source);
  await withoutWriting(source.machine, () =>
    expect(refusal({ conversionId, into: "boot-environment" })).rejects.toMatchObject({
      name: "ArmedStateChangedError",
      details: { changed: [name] },
      hint: expect.stringContaining("convert again"),
    }),
  );
});

test("what others changed while the machine was armed stays, and the receipt names it", async () => {
  const source = await aSourceWithGrub();
  await source.stage(source.image);
  await source.arm();
  const armed = await readFile(source.machine.at("/boot/grub/custom.cfg"), "utf8");
  await source.machine.put("/boot/grub/custom.cfg", `set theirs=1\n${armed}`);
  const receipt = (await source.attest())?.receipt;
  expect(receipt?.content.outcome).toBe("changed-by-others");
  const changed = receipt?.content.items.filter(({ outcome }) => outcome !== "equal");
  expect(changed).toMatchObject([{ name: "/boot/grub/custom.cfg", outcome: "changed-by-others" }]);
  expect(await readFile(source.machine.at("/boot/grub/custom.cfg"), "utf8")).toBe("set theirs=1\n");
  expect(existsSync(source.machine.at("/boot/causeway"))).toBe(false);
});

test("a disk that rejects a write fails the arming before the entry is selected", async () => {
  const source = await aSourceWithGrub();
  const before = source.bootState();
  await source.stage(source.image);
  source.machine.flush = (paths) =>
    flushFileSystems({ run: async () => ({ status: 1, output: "Input/output error" }) }, paths);
  await expect(source.arm()).rejects.toMatchObject({ name: "BootFilesNotFlushedError" });
  expect(await readFile(source.machine.at("/boot/grub/grubenv"), "utf8")).not.toContain("next_entry");
  const refusal = allowOnlyIfArmed(source.states, source.machine, "boot-1");
  expect(await refusal({ conversionId, into: "boot-environment" })).toContain("has not armed it");
  expect(await source.attest()).toMatchObject({ receipt: { content: { outcome: "equal" } } });
  expect(source.bootState()).toEqual(before);
});

test("a file that changes while the machine is armed fails the arming: the next start is as always, and the change stays", async () => {
  const source = await aSourceWithGrub();
  const { machine } = source;
  await source.stage(source.image);
  const { overwrite } = machine;
  machine.overwrite = async (path, bytes, offset) => {
    await overwrite(path, bytes, offset);
    await machine.put("/boot/grub/custom.cfg", "of its owner");
  };
  await expect(source.arm()).rejects.toMatchObject({
    name: "ArmingFailedError",
    message: expect.stringContaining("/boot/grub/custom.cfg"),
  });
  machine.overwrite = overwrite;
  expect(await readFile(machine.at("/boot/grub/grubenv"), "utf8")).not.toContain("next_entry");
  const refusal = allowOnlyIfArmed(source.states, machine, "boot-1");
  expect(await refusal({ conversionId, into: "boot-environment" })).toContain("has not armed it");
  await takeBackArming(source, conversionId);
  expect(await readFile(machine.at("/boot/grub/custom.cfg"), "utf8")).toBe("of its owner");
  expect(await source.attest()).toMatchObject({ receipt: { content: { outcome: "changed-by-others" } } });
});

test("an arming that cannot be recorded leaves the next start as always, and is taken back whole", async () => {
  const source = await aSourceWithGrub();
  const before = source.bootState();
  await source.stage(source.image);
  const full = new Error("no space left on device");
  source.states.markArmed = () => Promise.reject(full);
  await expect(source.arm()).rejects.toBe(full);
  expect(await readFile(source.machine.at("/boot/grub/grubenv"), "utf8")).not.toContain("next_entry");
  await takeBackArming(source, conversionId);
  expect(source.bootState()).toEqual(before);
});

test("an arming that is cancelled after the image was staged selects no entry, and is taken back whole", async () => {
  const source = await aSourceWithGrub();
  const { machine } = source;
  const before = source.bootState();
  await source.stage(source.image);
  const cancelled = new AbortController();
  const { copy } = machine;
  machine.copy = (from, to, mode) => {
    cancelled.abort();
    return copy(from, to, mode);
  };
  await expect(source.arm([], cancelled.signal)).rejects.toThrow("aborted");
  expect(Object.keys(source.bootState())).toContain(machine.at("/boot/causeway/cnv-1/vmlinuz"));
  expect(source.bootState()).toMatchObject(before);
  const refusal = allowOnlyIfArmed(source.states, machine, "boot-1");
  expect(await refusal({ conversionId, into: "boot-environment" })).toContain("has not armed it");
  await takeBackArming(source, conversionId);
  expect(source.bootState()).toEqual(before);
});

test("an entry of ours that cannot be distinguished from others' lines stays, and the receipt says so", async () => {
  const source = await aSourceWithGrub();
  await source.stage(source.image);
  await source.arm();
  const custom = source.machine.at("/boot/grub/custom.cfg");
  const damaged = (await readFile(custom, "utf8")).replace(/# <<<.*\n/, "");
  await writeFile(custom, damaged);
  await expect(takeBackArming(source, conversionId)).rejects.toMatchObject({
    name: "BootStateNotRestoredError",
  });
  expect(await readFile(source.machine.at("/boot/grub/grubenv"), "utf8")).not.toContain("next_entry");
  expect(await source.attest()).toMatchObject({ receipt: { content: { outcome: "different" } } });
  expect(await readFile(custom, "utf8")).toBe(damaged);
});

test("an arming that is taken back before the restart leaves a machine that is not restarted, and a receipt", async () => {
  const source = await aSourceWithGrub();
  const before = source.bootState();
  await source.stage(source.image);
  await source.arm();
  await takeBackArming(source, conversionId);
  await takeBackArming(source, conversionId);
  expect(source.bootState()).toEqual(before);
  const refusal = allowOnlyIfArmed(source.states, source.machine, "boot-1");
  expect(await refusal({ conversionId, into: "boot-environment" })).toContain("has not armed it");
  expect(await source.attest()).toMatchObject({ receipt: { content: { outcome: "equal" } } });
});

/** What a service does with `grub-editenv` while the machine is armed. */
async function setVariables({ machine }: Source, change: Record<string, string>): Promise<void> {
  const path = machine.at("/boot/grub/grubenv");
  const environment = decodeGrubEnvironment(await readFile(path));
  if (!environment) throw new Error("no environment block");
  const changed = Object.entries(change).reduce(
    (now, [name, value]) => withGrubVariable(now, name, value),
    environment,
  );
  await writeFile(path, encodeGrubEnvironment(changed));
}

test.each<[string, Record<string, string>, boolean]>([
  ["notes that the last start succeeded", { boot_success: "1", boot_indeterminate: "0" }, true],
  ["clears Ubuntu's recordfail", { recordfail: "" }, true],
  ["sets a counter that may choose another entry", { boot_counter: "3" }, false],
  ["notes that the last start failed", { boot_success: "0", recordfail: "1" }, false],
  ["wants to see the menu", { menu_show_once: "1" }, false],
  ["chooses another default", { saved_entry: "another", boot_success: "1" }, false],
  ["takes our entry away", { next_entry: "" }, false],
])("an armed machine on which a service %s: %j, restarts: %s", async (_, change, restarts) => {
  const source = await aSourceWithGrub();
  await source.stage(source.image);
  await source.arm();
  await setVariables(source, change);
  const judged = allowOnlyIfArmed(
    source.states,
    source.machine,
    "boot-1",
  )({
    conversionId,
    into: "boot-environment",
  });
  if (restarts) expect(await judged).toBeUndefined();
  else await expect(judged).rejects.toMatchObject({ details: { changed: ["/boot/grub/grubenv"] } });
});

test("what GRUB and the distribution write at each start stays, is named in the receipt, and is not a failure", async () => {
  const source = await aSourceWithGrub();
  await source.stage(source.image);
  await source.arm();
  await setVariables(source, { next_entry: "", boot_success: "0", boot_indeterminate: "0", recordfail: "1" });
  const { outcome, items = [] } = (await source.attest())?.receipt.content ?? {};
  expect(outcome).toBe("changed-by-others");
  expect(items.filter((item) => item.outcome !== "equal")).toMatchObject([
    { name: "/boot/grub/grubenv", variables: ["boot_success", "boot_indeterminate", "recordfail"] },
  ]);
});
