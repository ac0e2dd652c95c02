import { logInAsRoot } from "../machines/console-text.ts";
import { PRODUCTION_ADDRESS } from "../machines/disk/database-server.ts";
import type { SourceMachine } from "../machines/source-machine.ts";

/** Until its agent has started and is connected. */
const FENCE_LIMIT_MS = 300_000;
const NOTICE = /This machine is FENCED since /;
/** If it is fenced, each of them is `inactive`, no line has the address, and the notice is there. */
const LOOK = [
  "systemctl is-active postgresql.service postgresql@15-main.service production-address.service",
  "ip -brief address; test -e /etc/issue.d/causeway-fence.issue && echo NOTI''CED; echo LOO''KED",
].join("; ");

interface SeenFence {
  /** Its database and its address for clients are down. */
  isDown: boolean;
  /** The next login will say why. */
  isNoticed: boolean;
}

/** Cuts the power of a source, and starts it again as `startFenced` does. */
export async function staysFenced(machine: SourceMachine): Promise<boolean> {
  await machine.cutPower();
  return startFenced(machine);
}

/**
 * Switches a source on, whose agent may not have started when it shows its first login. Resolves with whether
 * the console says before that login that the source is fenced, and its database and its address for clients
 * are down.
 */
export async function startFenced(machine: SourceMachine): Promise<boolean> {
  const from = machine.console.length;
  await startAndLogIn(machine);
  const { isDown, isNoticed } = await look(machine);
  return isDown && isNoticed && NOTICE.test(machine.console.slice(from));
}

/** Switches a source on that did not know of its fence, and waits until its agent has put it up. */
export async function becomesFenced(machine: SourceMachine): Promise<void> {
  await startAndLogIn(machine);
  const deadline = performance.now() + FENCE_LIMIT_MS;
  for (;;) {
    const { isDown, isNoticed } = await look(machine);
    if (isDown && isNoticed) return;
    if (performance.now() > deadline) throw new Error(`the source is not fenced:\n${machine.console}`);
  }
}

async function startAndLogIn(machine: SourceMachine): Promise<void> {
  const from = machine.console.length;
  await machine.powerOn();
  await machine.waitFor(/login: /, from);
  await logInAsRoot(machine);
}

async function look(machine: SourceMachine): Promise<SeenFence> {
  const typed = machine.console.length;
  machine.type(LOOK);
  await machine.waitFor(/LOOKED/, typed);
  const shown = machine.console.slice(typed);
  const stopped = shown.match(/^inactive\r?$/gm)?.length;
  return {
    isDown: stopped === 3 && !shown.includes(PRODUCTION_ADDRESS),
    isNoticed: shown.includes("NOTICED"),
  };
}
