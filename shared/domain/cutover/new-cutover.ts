/** What a cutover is when it is asked for. */
import { CheckScriptMissingError, InvalidInputError, WrongStateError } from "../../errors.ts";
import { type AnswerCheck, combinedCheck, needsNetwork } from "../../protocol/answer-check.ts";
import type { BootImageReference } from "../../protocol/boot-image.ts";
import type { NetworkCheck, NewCutover } from "../../protocol/cutover.ts";
import type { Inventory } from "../../protocol/inventory.ts";
import type { MachineDesign } from "../../protocol/machine-routes.ts";
import { quiesces } from "../../protocol/quiesce.ts";
import { STANDBY_FORMAT } from "../../protocol/written-disk.ts";
import { askedAdaptation, newAddressesIn } from "../adapted-machine.ts";
import type { AgentRecord } from "../agent.ts";
import { requireAnswerable } from "../answerable.ts";
import { bootFirmware } from "../boot-hardware.ts";
import {
  type AskedMachine,
  askerLack,
  type IsolatedChecks,
  isolatedChecks,
  noIsolatedChecks,
} from "../isolated-checks.ts";
import { requireFencible } from "../listed-services.ts";
import { plannedMachine } from "../machine.ts";
import { formerIn, networkOnMachine, requireNotFormer } from "../new-addresses.ts";
import type { PlanRecord } from "../protection/plan.ts";
import { untouchedWhereabouts } from "../whereabouts.ts";
import type { CutoverRecord } from "./cutover.ts";
import { requireTime } from "./start.ts";

/**
 * `plan`: what `requireStandby` returned. `bootImage`: what its source restarts into, if it does. Throws
 * `WrongStateError` if the source has not reported its disks, what `requireFencible` throws,
 * `CheckScriptMissingError` if the target host's says that it has no such script,
 * `IsolatedCheckUnavailableError` if it says that it cannot ask isolated machines, and `InvalidInputError` if
 * no window is left, no card leads out of the test network, the machine could never answer, or it is to have
 * what the source's inventory does not, or the address of the card that connects the fenced source, if rules
 * are accepted that are not about it, if its disks are to have another format than the standby, or if a
 * system that is not adapted is to get a new identity or new addresses; and what `systemAddresses` throws.
 */
export function newCutover(
  request: NewCutover,
  given: {
    id: string;
    source: AgentRecord;
    target: AgentRecord;
    plan: PlanRecord;
    bootImage?: BootImageReference | undefined;
    requestedBy: string;
    now: number;
  },
): CutoverRecord {
  const { id, source, plan, requestedBy, now } = given;
  const { targetId, machine, windows, mode, needsApproval, check, expect, script } = request;
  const quieted = howQuieted(request, given);
  requireTime(request, now);
  requireStandbyFormat(request);
  if (check) requireAnswerable(check);
  const lack = scriptLack(script, given.target);
  if (lack) throw lack;
  if (!machine.cards.some(({ link }) => link.kind !== "isolated"))
    throw new InvalidInputError([
      {
        path: "machine.cards",
        message: "a machine in place of its source needs a card that is not isolated",
      },
    ]);
  const { inventory } = source;
  if (!quieted.switchSourceOff) requireNoSharedCard(machine, inventory);
  const disks = plan.disks ?? inventory?.disks.map(({ name }) => name) ?? [];
  if (!inventory || disks.length === 0)
    throw new WrongStateError(
      `source ${source.id} has not reported its disks yet`,
      "Wait until its agent has connected.",
    );
  requireFencible(source.id, inventory);
  const firmware = bootFirmware(inventory, disks);
  // The point is known only after the final sync; nothing of the plan depends on it.
  const owner = { id, sourceId: source.id, targetId, pointId: "", disks, firmware, images: undefined };
  const { pointId: _, ...planned } = plannedMachine(machine, { owner, inventory });
  const wanted = { shape: planned.shape, disks: disks.map((name) => ({ name })), inventory };
  const adaptation = askedAdaptation(request, "production", wanted);
  const addresses = newAddressesIn(adaptation) ?? [];
  if (check) requireNotFormer(check, addresses);
  const isolated = isolatedOf(request, given.target, {
    ...{ hypervisor: planned.hypervisor, cards: planned.shape.cards },
    inventory: { network: networkOnMachine(inventory.network, addresses) },
  });
  const at = new Date(now).toISOString();
  return {
    ...{ id, sourceId: source.id, targetId, planId: plan.id, windows, mode, needsApproval },
    ...{ ...quieted, check, expect, script },
    marginSeconds: request.marginSeconds,
    quiesceTimeoutSeconds: request.quiesceTimeoutSeconds,
    answerTimeoutSeconds: request.answerTimeoutSeconds,
    ...{
      firmware,
      disks,
      // No client reaches it before it was checked and has the right to run.
      planned: { ...planned, isolated: true, ...isolated.planned, ...formerIn(addresses) },
      ...{ isolatedCheck: isolated.check, networkChecks: isolated.shown },
      proveSeconds: request.proveSeconds,
      adaptation,
    },
    ...{ state: "baseline", states: [{ name: "baseline", at }], runs: [], forecast: null },
    ...{ executions: 1, edition: 1, changedBy: [requestedBy], requestedBy, createdAt: at, version: 0 },
  };
}

/** Throws `InvalidInputError`. */
function requireStandbyFormat({ format }: NewCutover): void {
  if (format === STANDBY_FORMAT) return;
  throw new InvalidInputError([
    {
      path: "format",
      message: `its disks are clones of the standby, so they are ${STANDBY_FORMAT}: writing them as ${format} would copy all of them in the outage. Leave --format out, or switch the source off and make the machine of its last recovery point with \`causeway recover --production --format ${format}\``,
    },
  ]);
}

/**
 * Its checks of the network, and those of them that are asked before the commit. Throws
 * `IsolatedCheckUnavailableError`.
 */
function isolatedOf(
  { check, asksIsolated }: NewCutover,
  target: AgentRecord,
  machine: AskedMachine,
): {
  check?: AnswerCheck;
  planned?: Pick<CutoverRecord["planned"], "isolatedNetworks">;
  shown?: NetworkCheck[];
} {
  if (!check || !needsNetwork(check)) return {};
  const { asked, networks, shown } = plannedChecks(check, { asksIsolated, target, machine });
  const [first, ...others] = asked;
  if (!first) return { shown };
  const lack = askerLack(target);
  if (lack) throw lack;
  return {
    check: combinedCheck(first, others),
    planned: { isolatedNetworks: networks },
    shown,
  };
}

function plannedChecks(
  check: AnswerCheck,
  given: { asksIsolated: boolean; target: AgentRecord; machine: AskedMachine },
): IsolatedChecks {
  if (!given.asksIsolated) return noIsolatedChecks(check, "the operator chose that");
  if (given.target.inventory?.isolatedChecks) return isolatedChecks(check, given.machine);
  const why = `the agent of target host ${given.target.id} does not say that it can ask isolated machines`;
  return noIsolatedChecks(check, why);
}

/** How its source is quieted. One in its boot environment has nothing to do there after the commit. */
function howQuieted(
  { quiesce, accept, switchSourceOff }: NewCutover,
  { bootImage, now }: { bootImage?: BootImageReference | undefined; now: number },
): Pick<CutoverRecord, "quiesce" | "switchSourceOff" | "restart" | "whereabouts"> {
  if (!quiesces[quiesce].restartsSource) {
    if (accept.length === 0) return { quiesce, switchSourceOff };
    throw new InvalidInputError([{ path: "accept", message: "its source is not restarted" }]);
  }
  if (!bootImage) throw new RangeError("a source is restarted with a boot image");
  const whereabouts = untouchedWhereabouts(new Date(now).toISOString());
  return { quiesce, switchSourceOff: true, restart: { bootImage, accept }, whereabouts };
}

/**
 * A fenced source stays on, and connected to the control plane. A machine with the hardware address of that
 * card would take its messages. Throws `InvalidInputError`.
 */
function requireNoSharedCard({ cards }: MachineDesign, inventory: Inventory | undefined): void {
  const { interfaces = [], reach } = inventory?.network ?? {};
  const used = new Set(reach?.paths.filter(({ use }) => use === "control-plane").map(({ device }) => device));
  // A bridge or a VLAN has the address of its port.
  const usedAddresses = new Set(interfaces.filter(({ name }) => used.has(name)).map((one) => one.macAddress));
  for (const [index, { link, keepAddressOf }] of cards.entries()) {
    if (link.kind === "isolated") continue;
    const port = interfaces.find(({ name }) => name === keepAddressOf);
    if (port?.macAddress === undefined || !usedAddresses.has(port.macAddress)) continue;
    throw new InvalidInputError([
      {
        path: `machine.cards.${index}.keepAddressOf`,
        message: `the fenced source stays connected by ${port.name}: have it switched off (--switch-source-off), or give the card an address of its own`,
      },
    ]);
  }
}

/**
 * What is wrong if the target host has no script of this name, as far as that is known: it would be found out
 * only when the source is quiet.
 */
export function scriptLack(
  name: string | undefined,
  target: AgentRecord | undefined,
): CheckScriptMissingError | undefined {
  const known = target?.inventory?.checkScripts;
  if (name === undefined || !known || known.includes(name)) return undefined;
  const where = `on target host ${target.id} that its agent could run when it connected`;
  return new CheckScriptMissingError(name, where);
}

/** The plan whose standby the machine is made of. Throws `WrongStateError`. */
export function requireStandby(
  plan: PlanRecord | undefined,
  source: AgentRecord,
  targetId: string,
): PlanRecord {
  if (plan && plan.state !== "deleted" && plan.standbyTargetId === targetId) return plan;
  const command =
    plan && plan.state !== "deleted" ? `plan ${plan.id} edit` : `protect ${source.id} --every 15m`;
  throw new WrongStateError(
    `source ${source.id} has no standby on target host ${targetId}`,
    `\`causeway ${command} --standby ${targetId}\` makes one.`,
  );
}
