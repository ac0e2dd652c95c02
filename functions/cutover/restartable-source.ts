/** Whether a cutover can restart its source into the boot environment. */
import type { AgentRecord } from "#shared/domain/agent.ts";
import { type BootImageRecord, referenceTo } from "#shared/domain/boot-image.ts";
import { newConversion } from "#shared/domain/conversion.ts";
import type { CutoverRecord } from "#shared/domain/cutover/cutover.ts";
import { preflightFindings } from "#shared/domain/preflight.ts";
import { PreflightFailedError } from "#shared/errors.ts";
import type { BootImageReference } from "#shared/protocol/boot-image.ts";
import { ConversionType, conversionTypes } from "#shared/protocol/conversion-types.ts";
import type { NewCutover } from "#shared/protocol/cutover.ts";
import { quiesces } from "#shared/protocol/quiesce.ts";
import { NewConversion } from "#shared/protocol/resources.ts";
import type { RuleName } from "#shared/protocol/rule-names.ts";
import { timestamp } from "../conversion/deps.ts";
import type { StoreDeps } from "../store/deps.ts";

/** The id of a conversion that is only imagined: what it would be refused for, the cutover is. */
const IMAGINED = "imagined";

interface Restart {
  source: AgentRecord;
  target: AgentRecord;
  disks: readonly string[] | undefined;
  accept: readonly RuleName[];
  requestedBy: string;
  bootImage: BootImageRecord | undefined;
}

/**
 * The boot image with which the source of a cutover that is asked for is restarted: the newest; `undefined`
 * if it is not restarted. Throws `PreflightFailedError` with each rule of a cold clone that does not hold.
 */
export async function bootImageForCutover(
  { quiesce, accept }: Pick<NewCutover, "quiesce" | "accept">,
  given: Pick<Restart, "source" | "target" | "disks" | "requestedBy">,
  { store, clock }: StoreDeps,
): Promise<BootImageReference | undefined> {
  if (!quiesces[quiesce].restartsSource) return undefined;
  const bootImage = await store.bootImages.newest();
  requireRestartable({ ...given, accept, bootImage }, timestamp(clock));
  return bootImage && referenceTo(bootImage);
}

/** Throws `PreflightFailedError` if the source of a cutover that would restart it cannot be restarted now. */
export async function requireStillRestartable(
  cutover: CutoverRecord,
  { store, clock }: StoreDeps,
): Promise<void> {
  const { restart, sourceId, targetId, disks, requestedBy } = cutover;
  if (!restart) return;
  const source = await store.agents.get(sourceId);
  const target = await store.agents.get(targetId);
  const bootImage = await store.bootImages.find(restart.bootImage.id);
  requireRestartable(
    { source, target, disks, accept: restart.accept, requestedBy, bootImage },
    timestamp(clock),
  );
}

function requireRestartable({ source, target, bootImage, ...asked }: Restart, now: string): void {
  const { disks, accept, requestedBy } = asked;
  const type = ConversionType.options.find((one) => conversionTypes[one].restartsSource);
  const request = { type, sourceId: source.id, targetId: target.id, disks: disks && [...disks], accept };
  const conversion = newConversion(NewConversion.parse(request), {
    ...{ id: IMAGINED, pointId: IMAGINED, source, bootImageId: bootImage?.id, requestedBy, now },
  });
  // A run of the plan may read the source now.
  const facts = { conversion, source: { ...source, heldBy: IMAGINED }, target, bootImage };
  const failures = preflightFindings(facts).filter(({ severity }) => severity === "fail");
  if (failures.length > 0) throw new PreflightFailedError(failures);
}
