import { openReadableRepository } from "#agent/cloud/readable-repository.ts";
import { type CheckReport, checkRepository } from "#agent/repository/check.ts";
import { ObjectNotFoundError } from "#agent/store/object-store.ts";
import { NotFoundError } from "#shared/errors.ts";
import { bytes } from "#shared/units.ts";
import { API_HELP, API_OPTIONS, apiOf } from "../api.ts";
import type { CliCommand } from "../command.ts";
import { DamageFoundError } from "../errors.ts";
import { ProgressLine } from "../progress.ts";
import { oneLine, print } from "../terminal.ts";
import { bar } from "./conversion-progress.ts";

export const repoCheck: CliCommand = {
  name: "repo check",
  summary: "Re-reads and re-hashes everything that a source server's recovery points refer to",
  usage: "repo check SOURCE",
  help: API_HELP,
  examples: [
    "causeway repo check agt_01jd3v8q6m4x2k7zt5w9h0n1yb",
    "causeway repo check agt_01jd… --json | jq .findings",
  ],
  options: API_OPTIONS,
  positionals: ["SOURCE"],
  async run(call) {
    const api = apiOf(call);
    const id = call.arguments.SOURCE ?? "";
    const repository = await openReadableRepository({
      requestAccess: () => api.openSourceData({ parameters: { id } }),
      now: Date.now,
      random: Math.random,
    }).catch((error: unknown) => {
      // Its key is the first object of a repository.
      throw error instanceof ObjectNotFoundError ? new NotFoundError("repository of source", id) : error;
    });
    const line = new ProgressLine(call.terminal);
    const report = await checkRepository({
      repository,
      onProgress: ({ objectsChecked, objectsTotal, bytesChecked }) =>
        line.show(
          `check  ${bar(objectsTotal > 0 ? objectsChecked / objectsTotal : 0)}  ${bytes(bytesChecked)}`,
        ),
    });
    line.end();
    print(call.terminal, call.json, { id, ...report }, () => describe(report));
    if (!report.ok)
      throw new DamageFoundError(`${report.findings.length} objects of ${id} are damaged or missing`);
  },
};

function describe(report: CheckReport): string {
  const checked = `${report.objects} objects (${bytes(report.bytes)}) of ${report.points} recovery points were read and checked`;
  const findings = report.findings.flatMap((finding) => [
    `${finding.problem}: ${finding.object}: ${finding.detail}`,
    ...finding.affects.map(
      ({ pointId, disk, offsets }) => `  needed by ${pointId}, disk ${disk}, at byte ${offsets.join(", ")}`,
    ),
  ]);
  const loose =
    report.unreferenced.length > 0 ? [`${report.unreferenced.length} packs belong to no recovery point`] : [];
  const verdict = report.ok ? "no damage found" : "DAMAGE FOUND";
  return [checked, ...findings, ...loose, verdict].map(oneLine).join("\n");
}
