import { openReadableRepository } from "#agent/cloud/readable-repository.ts";
import { type CheckReport, checkRepository } from "#agent/repository/check.ts";
import { ObjectNotFoundError } from "#agent/store/object-store.ts";
import { NotFoundError } from "#shared/errors.ts";
import type { ApiClient } from "#shared/protocol/client.ts";
import type { Check } from "#shared/protocol/repository-check.ts";
import { bytes } from "#shared/units.ts";
import { sourceId } from "../agent-names.ts";
import { API_HELP, API_OPTIONS, apiOf } from "../api.ts";
import type { CliCall, CliCommand } from "../command.ts";
import { CheckNotCompletedError, DamageFoundError, UsageError } from "../errors.ts";
import { ProgressLine } from "../progress.ts";
import { oneLine, print } from "../terminal.ts";
import { waitForEnd } from "../wait-for-end.ts";
import { bar } from "./conversion-progress.ts";

export const repoCheck: CliCommand = {
  name: "repo check",
  summary: "Re-reads and re-hashes everything that a source server's recovery points refer to",
  usage: "repo check SOURCE [--on-target [--sample]]",
  help: [
    ["--on-target", "have a target host read it, and note what it finds with the recovery points"],
    ["--sample", "with --on-target: read only a sample of some points"],
    ...API_HELP,
  ],
  examples: [
    "causeway repo check agt_01jd3v8q6m4x2k7zt5w9h0n1yb",
    "causeway repo check agt_01jd… --json | jq .findings",
    "causeway repo check agt_01jd… --on-target --sample",
  ],
  options: { ...API_OPTIONS, "on-target": { type: "boolean" }, sample: { type: "boolean" } },
  positionals: ["SOURCE"],
  async run(call) {
    const api = apiOf(call);
    const onTarget = call.values["on-target"] === true;
    if (call.values.sample && !onTarget) throw new UsageError("--sample needs --on-target", "repo check");
    const id = await sourceId(api, call.arguments.SOURCE);
    if (onTarget) return checkOnTarget(api, id, call);
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

async function checkOnTarget(api: ApiClient, source: string, call: CliCall): Promise<void> {
  const body = { whole: call.values.sample !== true };
  const { id } = await api.startCheck({ parameters: { id: source }, body });
  const get = () => api.getCheck({ parameters: { id } });
  const check = await waitForEnd(get, ({ targetId }) => `${targetId} checks`, call.terminal);
  print(call.terminal, call.json, check, () => describeCheck(check));
  const { failure, result } = check;
  if (failure) throw new CheckNotCompletedError(`check ${id} failed: ${failure.message}`, failure.hint);
  const damaged = result?.points.filter(({ verdict }) => verdict === "damaged").length ?? 0;
  if (damaged > 0 || (result && result.problems.length > 0))
    throw new DamageFoundError(`${damaged} recovery points of ${source} are damaged`);
}

function describeCheck({ id, whole, targetId, result, failure }: Check): string {
  const how = whole ? "everything was read" : "a sample was read";
  const read = result ? `${result.points.length} recovery points, ${how} (${bytes(result.bytesRead)})` : "";
  const points = (result?.points ?? []).filter(({ verdict }) => verdict !== "sound");
  return [
    `check ${id} by ${targetId}: ${failure ? `${failure.name}: ${failure.message}` : read}`,
    ...points.map(({ pointId, verdict }) => `${pointId}: ${verdict}`),
    ...(result?.problems ?? []),
    ...(result ? [result.problems.length > 0 ? "DAMAGE FOUND" : "no damage found"] : []),
  ]
    .map(oneLine)
    .join("\n");
}

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
