/** How a proof is shown to people. */
import type { FileDifference, HashedFiles, Proof } from "#shared/protocol/proof.ts";
import { bytes } from "#shared/units.ts";
import { oneLine } from "../terminal.ts";

const MOST_SHOWN = 5;
const WHAT: Readonly<Record<FileDifference, string>> = {
  missing: "is missing",
  "no-file": "is no file",
  size: "has another size",
  mode: "has other permissions",
  modified: "has another time",
  content: "has another content",
  unreadable: "cannot be read",
};

export function describeProof({ pointId, outcome, reason, hashed, compared }: Proof): string[] {
  const shown = compared ? `${compared.equal} files (${bytes(compared.bytes)})` : "no file";
  const lines = {
    equal: `the copy is proved: ${shown} of recovery point ${pointId} are as the source's kernel reads them`,
    different: `the copy differs: ${compared?.different ?? 0} files of recovery point ${pointId} are not as the source's kernel reads them; ${shown} are`,
    unknown: `the copy is not proved: ${reason ?? "for an unknown reason"}; ${shown} of recovery point ${pointId} are as the source's kernel reads them`,
  };
  const differences = compared?.differences.slice(0, MOST_SHOWN) ?? [];
  return [
    lines[outcome],
    ...differences.map(({ path, what }) => `${path} ${WHAT[what]}`),
    ...(hashed ? [describeRest(hashed)] : []),
  ].map(oneLine);
}

function describeRest(hashed: HashedFiles): string {
  const { found, foundAll, files, changed, unreadable, leftOut, unopened = [], system } = hashed;
  const where = system === undefined ? "on the source" : "in the source's boot environment";
  const parts = [
    `${files} of ${foundAll ? "" : "at least "}${found} files were read ${where}`,
    ...(system === undefined || changed > 0 ? [`${changed} have changed since the recovery point`] : []),
    ...(unreadable > 0 ? [`${unreadable} cannot be read`] : []),
    ...unopened.map(({ place, why }) => `${place} is not opened (${why})`),
    ...leftOut.map(({ place, why }) => `${place} is left out (${why})`),
  ];
  return parts.join(", ");
}
