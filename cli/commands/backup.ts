import { resolve } from "node:path";
import { BackupFailedError, NotRunningError, requestBackup } from "#local/backup/control.ts";
import { bytes } from "#shared/units.ts";
import { type CliCommand, requiredOption } from "../command.ts";
import { RefusedError } from "../errors.ts";
import { ProgressLine } from "../progress.ts";
import { print } from "../terminal.ts";

export const backup: CliCommand = {
  name: "backup",
  summary: "Copies the embedded cloud's state while it runs, and its keys to a separate folder",
  usage: "backup --data DIR --to DIR --keys DIR",
  help: [
    ["--data DIR", "the folder that `causeway up` runs on, on this machine"],
    ["--to DIR", "everything except the keys; must not exist yet, and appears when it is complete"],
    [
      "--keys DIR",
      "the keys; must not exist yet. Anyone who has them and the backup can read everything: store them elsewhere",
    ],
  ],
  examples: ["causeway backup --data /var/lib/causeway --to /backup/2030-01-01 --keys /safe/2030-01-01"],
  options: { data: { type: "string" }, to: { type: "string" }, keys: { type: "string" } },
  positionals: [],
  async run(call) {
    const option = (name: string): string => resolve(requiredOption(call, name, this.name));
    const data = option("data");
    const destination = { data: option("to"), keys: option("keys") };
    const line = new ProgressLine(call.terminal);
    let bytesCopied = 0;
    try {
      await requestBackup(data, destination, ({ bytesDone, bytesTotal }) => {
        bytesCopied = bytesTotal;
        line.show(`backup  ${bytes(bytesDone)} of ${bytes(bytesTotal)} in the repositories`);
      });
    } catch (error) {
      throw refusalOf(error, data) ?? error;
    } finally {
      line.end();
    }
    print(
      call.terminal,
      call.json,
      { to: destination.data, keys: destination.keys, bytesCopied },
      () =>
        `${destination.data}: complete, without keys\n${destination.keys}: the keys\n` +
        "To restore: copy both into one new folder, and run `causeway up --data` on it.",
    );
  },
};

const UNFINISHED =
  "What was copied so far is in folders that end in .partial; the next backup to the same folders removes them.";
const HINTS: Readonly<Record<string, string>> = {
  BackupDestinationError:
    "Name two folders that do not exist yet, neither inside the other nor inside the data folder, on a file system " +
    "that supports private permissions.",
  BackupSourceError:
    "Mount the link's target in its place, or copy the folder while no embedded cloud runs on it.",
};

function refusalOf(error: unknown, data: string): RefusedError | undefined {
  if (error instanceof NotRunningError)
    return new RefusedError(
      error.message,
      `Start it, or copy ${data} itself while it is stopped: kms, iot/authority and cognito hold the keys.`,
    );
  if (!(error instanceof BackupFailedError)) return undefined;
  return new RefusedError(error.message, HINTS[error.failureName] ?? UNFINISHED);
}
