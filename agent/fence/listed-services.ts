/** What the services are that the fence is to keep down, as this machine's systemd knows them. */
import type { ListedService } from "#shared/protocol/fence.ts";
import type { Systemctl } from "../hypervisor/qemu/service/systemctl.ts";
import { isActive, type ShownUnit, shownUnits } from "./shown-units.ts";

/** `foo@.service` is a template: only an instance of it, such as `foo@bar.service`, can run. */
const TEMPLATE = /@\.service$/;

/**
 * Returns the state of each service, in their order; `undefined` if systemd does not say. A name that is an
 * alias, or that systemd makes a service of (SysV scripts, instances of a template), is that service.
 */
export async function listedServices(
  names: readonly string[],
  systemctl: Systemctl,
): Promise<ListedService[] | undefined> {
  // One template would fail the whole call.
  const asked = names.filter((name) => !TEMPLATE.test(name));
  const shown = await shownUnits(asked, ["LoadState", "ActiveState"], systemctl);
  const states = names.map((name) => {
    const unit = shown.get(name);
    return unit instanceof Error ? undefined : { name, state: stateOf(unit) };
  });
  return states.every((one) => one !== undefined) ? states : undefined;
}

/** `unit`: what systemd says of the service; `undefined` of a template. */
function stateOf(unit: ShownUnit | undefined): ListedService["state"] {
  // One whose file was removed while it runs can be stopped.
  if (unit && isActive(unit)) return "running";
  return unit && unit.get("LoadState") !== "not-found" ? "stopped" : "not-found";
}
