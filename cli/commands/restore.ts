import { openReadableRepository } from "#agent/cloud/readable-repository.ts";
import { createDiskImage } from "#agent/disk-image/disk-image.ts";
import { ProgressMeter } from "#agent/progress/progress-meter.ts";
import { readPoint } from "#agent/repository/points.ts";
import { restoreDisk } from "#agent/restore/restore.ts";
import { DiskFormat } from "#shared/protocol/common.ts";
import { bytes, duration } from "#shared/units.ts";
import { API_HELP, API_OPTIONS, apiOf } from "../api.ts";
import { type CliCommand, choiceOption, requiredOption } from "../command.ts";
import { newFilePath } from "../new-file.ts";
import { ProgressLine } from "../progress.ts";
import { recordedDisk } from "../recorded-disk.ts";
import { print } from "../terminal.ts";
import { transferLine } from "./conversion-progress.ts";

export const restore: CliCommand = {
  name: "restore",
  summary: "Writes one disk of a recovery point to a file on this machine",
  usage: "restore POINT --disk NAME --to FILE [--format raw|qcow2]",
  help: [
    ["--disk NAME", "which disk of the recovery point"],
    ["--to FILE", "must not exist yet; appears once it is complete and verified"],
    ["--format FORMAT", "raw (default, sparse) or qcow2"],
    ...API_HELP,
  ],
  examples: ["causeway restore rp_01jd3v8q6m4x2k7zt5w9h0n1yb --disk sda --to /var/tmp/sda.raw"],
  options: { ...API_OPTIONS, disk: { type: "string" }, to: { type: "string" }, format: { type: "string" } },
  positionals: ["POINT"],
  async run(call) {
    const api = apiOf(call);
    const name = requiredOption(call, "disk", this.name);
    const path = await newFilePath(requiredOption(call, "to", this.name));
    const format = choiceOption(call, "format", DiskFormat.options, this.name) ?? "raw";
    const id = call.arguments.POINT ?? "";
    const recorded = await api.getRecoveryPoint({ parameters: { id } });
    const { sourceId } = recorded;
    const repository = await openReadableRepository({
      requestAccess: () => api.openSourceData({ parameters: { id: sourceId } }),
      now: Date.now,
      random: Math.random,
    });
    const disk = recordedDisk(await readPoint(repository, id), recorded, name);
    const line = new ProgressLine(call.terminal);
    const meter = new ProgressMeter((progress) =>
      line.show(["restore", ...transferLine(progress)].join("  ")),
    );
    meter.expect(disk.usedBytes);
    const image = await createDiskImage({
      path,
      format,
      sizeBytes: disk.sizeBytes,
      contentBytes: disk.usedBytes,
    });
    try {
      const { bytesWritten, elapsedMs } = await restoreDisk({
        repository,
        disk,
        sink: { write: (offset, part) => image.write(offset, part), zero: async () => {} },
        meter,
      });
      await image.finish();
      line.end();
      const done = {
        id,
        disk: name,
        path,
        format,
        sizeBytes: disk.sizeBytes,
        bytesWritten,
        badRanges: disk.badRanges,
        seconds: elapsedMs / 1000,
      };
      print(
        call.terminal,
        call.json,
        done,
        () =>
          `${path}: ${bytes(disk.sizeBytes)}, of which ${bytes(bytesWritten)} are data, in ${duration(elapsedMs / 1000)}`,
      );
    } finally {
      line.end();
      await image.abort();
    }
  },
};
