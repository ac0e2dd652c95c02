import { type ChildProcess, fork } from "node:child_process";
import { createHash } from "node:crypto";
import { once } from "node:events";
import { mkdir, readdir, rm, writeFile } from "node:fs/promises";
import path from "node:path";
import { DatabaseSync } from "node:sqlite";
import { GetObjectCommand, ListObjectsV2Command, PutObjectCommand } from "@aws-sdk/client-s3";
import { afterEach, beforeEach, expect, test } from "vitest";
import { ManualClock } from "../core/clock.ts";
import { openS3 } from "./s3.ts";
import { TestWorld } from "./testing/s3-world.ts";

let world: TestWorld;
beforeEach(async () => {
  world = await TestWorld.start();
  await world.bucket("crash");
});
afterEach(() => world.stop());

const Bucket = "crash";
const put = (Key: string, Body: string) => world.client.send(new PutObjectCommand({ Bucket, Key, Body }));

/** Leaves the store as a killed process would: marked as open. */
function markAsCrashed(): void {
  const database = new DatabaseSync(path.join(world.folder, "metadata.sqlite"));
  database.exec("UPDATE store SET clean = 0");
  database.close();
}

test("the start removes contents that no commit names, and keeps named contents and foreign files", async () => {
  await put("a/kept", "kept");
  await world.close();
  const folder = path.join(world.folder, "buckets/crash");
  await writeFile(path.join(folder, "a/renamed@20300101T000000-1-z"), "no commit followed");
  await mkdir(path.join(folder, "b/upload@20300101T000000-1-y"), { recursive: true });
  await writeFile(path.join(folder, "b/upload@20300101T000000-1-y/00001@x"), "no commit followed");
  await writeFile(path.join(folder, "notes.txt"), "somebody's");
  await writeFile(path.join(world.folder, "incoming/half"), "half of an upl");
  markAsCrashed();
  await world.open();
  expect((await world.files()).sort()).toEqual([
    expect.stringMatching(/^buckets\/crash\/a\/kept@/),
    "buckets/crash/notes.txt",
  ]);
  expect(await readdir(folder)).not.toContain("b");
  expect(world.reports).toEqual([]);
  const { Body } = await world.client.send(new GetObjectCommand({ Bucket, Key: "a/kept" }));
  expect(await Body?.transformToString()).toBe("kept");
});

test("missing content is reported at the start, and reading it fails and returns no wrong bytes", async () => {
  await put("lost", "bytes");
  await world.close();
  const [file = ""] = await world.files();
  await rm(path.join(world.folder, file));
  markAsCrashed();
  await world.open();
  expect(world.reports.map(String)).toEqual([expect.stringContaining("lost@")]);
  await expect(world.client.send(new GetObjectCommand({ Bucket, Key: "lost" }))).rejects.toMatchObject({
    name: "InternalError",
  });
});

test("a second process cannot open the store", async () => {
  const options = {
    folder: world.folder,
    clock: new ManualClock(),
    authorizer: { authorize: () => undefined },
    keys: { authorizeKeyUse: () => undefined },
    report: () => undefined,
  };
  await expect(openS3(options)).rejects.toThrow(/another embedded cloud/);
});

test("after kill -9, exactly what was acknowledged before is there, and it is whole", async () => {
  await world.close();
  const child: ChildProcess = fork(path.join(import.meta.dirname, "recovery-writer.ts"), [world.folder], {
    execArgv: ["--no-warnings"],
  });
  const answered = new Set<string>();
  child.on("message", (key: string) => {
    answered.add(key);
    // Other puts are running at this moment, each at a different step.
    if (answered.size === 25) child.kill("SIGKILL");
  });
  await once(child, "exit");
  await world.open();
  const { Contents = [] } = await world.client.send(new ListObjectsV2Command({ Bucket }));
  const listed = new Set(Contents.map(({ Key }) => Key));
  expect([...answered].filter((key) => !listed.has(key))).toEqual([]);
  for (const { Key = "" } of Contents) {
    const { Body } = await world.client.send(new GetObjectCommand({ Bucket, Key }));
    const bytes = await Body?.transformToByteArray();
    expect(
      createHash("sha256")
        .update(bytes ?? "")
        .digest("hex"),
    ).toBe(Key.split("/")[1]);
  }
  expect(await world.files()).toHaveLength(Contents.length);
  expect(world.reports).toEqual([]);
});
