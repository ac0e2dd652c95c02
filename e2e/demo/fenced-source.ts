import { logInAsRoot } from "../machines/console-text.ts";
import { PRODUCTION_ADDRESS } from "../machines/disk/database-server.ts";
import type { SourceMachine } from "../machines/source-machine.ts";

/** Until its agent has started and is connected. */
const FENCE_LIMIT_MS = 300_000;
const NOTICE = /This machine is FENCED since /;
/** Each of them is `inactive`, no line has the address, and the notice before the login is there. */
const LOOK = [
  "systemctl is-active postgresql.service postgresql@15-main.service production-address.service",
  "ip -brief address; test -e /etc/issue.d/causeway-fence.issue && echo NOTI''CED; echo LOO''KED",
].join("; ");

/**
 * Cuts the power of a source and starts it again. Resolves with whether its console says before the login
 * that it is fenced, and its database and its address for clients are down.
 */
export async function staysFenced(machine: SourceMachine): Promise<boolean> {
  await machine.cutPower();
  const { isDown, isSaid } = await startFenced(machine);
  return isDown && isSaid;
}

/**
 * Switches a source on. `isDown`: its database and its address for clients are down, and the next login will
 * say why. `isSaid`: its console said before this login that it is fenced.
 */
export async function startFenced(machine: SourceMachine): Promise<{ isDown: boolean; isSaid: boolean }> {
  const from = machine.console.length;
  await startAndLogIn(machine);
  const isSaid = NOTICE.test(machine.console.slice(from));
  return { isDown: await isDown(machine), isSaid };
}

/** Switches a source on that did not know of its fence, and waits until its agent has put it up. */
export async function becomesFenced(machine: SourceMachine): Promise<void> {
  await startAndLogIn(machine);
  const deadline = performance.now() + FENCE_LIMIT_MS;
  while (!(await isDown(machine))) {
    if (performance.now() > deadline) throw new Error(`the source's services still run:\n${machine.console}`);
  }
}

async function startAndLogIn(machine: SourceMachine): Promise<void> {
  const from = machine.console.length;
  await machine.powerOn();
  await machine.waitFor(/login: /, from);
  await logInAsRoot(machine);
}

/** Whether the database and the address for clients are down, and the next login will say why. */
async function isDown(machine: SourceMachine): Promise<boolean> {
  const typed = machine.console.length;
  machine.type(LOOK);
  await machine.waitFor(/LOOKED/, typed);
  const shown = machine.console.slice(typed);
  const stopped = shown.match(/^inactive\r?$/gm)?.length;
  return stopped === 3 && !shown.includes(PRODUCTION_ADDRESS) && shown.includes("NOTICED");
}
