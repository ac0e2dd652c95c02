/** What the services are that the fence is to keep down, as this machine's systemd knows them. */
import type { ListedService } from "#shared/protocol/fence.ts";
import type { Systemctl } from "../hypervisor/qemu/service/systemctl.ts";

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
  const told =
    asked.length === 0
      ? ""
      : await systemctl("show", "--property=LoadState,ActiveState", ...asked).catch(() => undefined);
  if (told === undefined) return undefined;
  const blocks = told.trim() === "" ? [] : told.trim().split(/\n{2,}/);
  if (blocks.length !== asked.length) return undefined;
  return names.map((name) => ({ name, state: stateOf(blocks[asked.indexOf(name)]) }));
}

/** `block`: what systemd says of the service; `undefined` of a template. */
function stateOf(block: string | undefined): ListedService["state"] {
  const isActive = block !== undefined && !/^ActiveState=(inactive|failed)$/m.test(block);
  // One whose file was removed while it runs can be stopped.
  if (isActive) return "running";
  return block === undefined || /^LoadState=not-found$/m.test(block) ? "not-found" : "stopped";
}
