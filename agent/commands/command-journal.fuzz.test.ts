/** Any damage to the journal of commands: it gives a result that was recorded, or says what to do. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import fc from "fast-check";
import { afterAll, beforeAll, expect, test } from "vitest";
import { FolderFileDamagedError } from "#shared/errors.ts";
import { mutated } from "#shared/protocol/testing/mutations.ts";
import { CommandJournal, type CommandResult } from "./command-journal.ts";

const result: CommandResult = {
  ...{ type: "command-succeeded", commandId: "cnv_1.release.source.1", at: "2030-01-01T00:00:00.000Z" },
  output: { restored: true },
};
let folder: string;
let whole: Buffer;

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "causeway-journal-"));
  const path = join(folder, "whole.sqlite");
  const journal = new CommandJournal(path, () => 0);
  journal.record({ result, contentSha256: "a".repeat(64) });
  journal.close();
  whole = readFileSync(path);
});
afterAll(() => rmSync(folder, { recursive: true }));

/** What the journal says of the command, or the typed error that it throws. */
function foundIn(bytes: Buffer): CommandResult | undefined {
  const path = join(folder, "damaged.sqlite");
  for (const suffix of ["", "-wal", "-shm"]) rmSync(`${path}${suffix}`, { force: true });
  writeFileSync(path, bytes);
  let journal: CommandJournal | undefined;
  try {
    journal = new CommandJournal(path, () => 0);
    const found = journal.find(result.commandId);
    journal.record({ result: { ...result, commandId: "cnv_1.release.target.1" } });
    journal.acknowledge(result.commandId);
    return found?.result;
  } catch (error) {
    expect(error).toBeInstanceOf(FolderFileDamagedError);
    expect((error as FolderFileDamagedError).hint).toContain("stop the agent");
    return undefined;
  } finally {
    journal?.close();
  }
}

test("whatever bytes of the file are overwritten or cut off, the journal is read or refused", () => {
  const change = fc.tuple(fc.nat(whole.length - 1), fc.uint8Array({ minLength: 1, maxLength: 64 }));
  fc.assert(
    fc.property(fc.array(change, { maxLength: 4 }), fc.nat(whole.length), (changes, end) => {
      const bytes = Buffer.from(whole);
      for (const [at, put] of changes) bytes.set(put.subarray(0, bytes.length - at), at);
      foundIn(bytes.subarray(0, end % 3 === 0 ? end : bytes.length));
    }),
    { numRuns: 30 },
  );
});

test("whatever a row says, it is that command's result or the journal is refused", () => {
  const text = fc.oneof(
    mutated(result).map((value) => JSON.stringify(value) ?? ""),
    fc.string(),
    fc.constant("[".repeat(100_000)),
  );
  fc.assert(
    fc.property(text, (json) => {
      const path = join(folder, "row.sqlite");
      writeFileSync(path, whole);
      const database = new DatabaseSync(path);
      database.prepare("UPDATE ended_commands SET result = ?").run(json);
      database.close();
      const found = foundIn(readFileSync(path));
      if (found) expect(found.commandId).toBe(result.commandId);
    }),
    { numRuns: 30 },
  );
});
