import { logInAsRoot } from "../machines/console-text.ts";
import { PRODUCTION_ADDRESS } from "../machines/disk/database-server.ts";
import type { SourceMachine } from "../machines/source-machine.ts";

const NOTICE = /This machine is FENCED since /;
/** Each of them is `inactive`, and no line has the address. */
const LOOK =
  "systemctl is-active postgresql.service postgresql@15-main.service production-address.service; ip -brief address; echo LOO''KED";

/**
 * Cuts the power of a source and starts it again. Resolves with whether its console says before the login
 * that it is fenced, and its database and its address for clients are down.
 */
export async function staysFenced(machine: SourceMachine): Promise<boolean> {
  await machine.cutPower();
  const from = machine.console.length;
  await machine.powerOn();
  await machine.waitFor(/login: /, from);
  await logInAsRoot(machine);
  const isSaid = NOTICE.test(machine.console.slice(from));
  const typed = machine.console.length;
  machine.type(LOOK);
  await machine.waitFor(/LOOKED/, typed);
  const shown = machine.console.slice(typed);
  return isSaid && shown.match(/^inactive\r?$/gm)?.length === 3 && !shown.includes(PRODUCTION_ADDRESS);
}
