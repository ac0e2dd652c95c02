/**
 * Runs a machine that was started by hand from the CD or over the network: gets it an identity by a code on
 * its screen, then waits for conversions.
 */
import { mkdir, readFile } from "node:fs/promises";
import { failureOf } from "#shared/errors.ts";
import type { Log } from "#shared/log.ts";
import { typeChoices } from "#shared/protocol/conversion-types.ts";
import type { Inventory } from "#shared/protocol/inventory.ts";
import { collectInventory } from "../inventory/inventory.ts";
import { LocalMachine } from "../machine/machine.ts";
import { readBootId } from "../machine/system.ts";
import { fetchThatSetsClock } from "./clock.ts";
import { urlOfCommandLine } from "./control-plane-url.ts";
import { describeMachine, ownDisks } from "./describe-machine.ts";
import { handStartedAgent } from "./hand-started-agent.ts";
import { identify } from "./identify.ts";
import { Keyboard } from "./keyboard.ts";
import { ScreenInput } from "./screen-input.ts";

export interface ByHandOptions {
  version: string;
  /** In memory: after a power cut this machine has to be approved again. */
  dataDir: string;
  /** Shows one line on the screen. */
  say: (line: string) => void;
  log: Log;
}

const TERMINALS = ["/dev/tty0", "/dev/ttyS0"];
const HOW_TO_LEAVE =
  "To leave: take the CD or USB stick out, type restart and press Enter. The computer then starts its own system.";

/** Returns when a person at the machine asks for a restart. */
export async function runByHand({ version, dataDir, say, log }: ByHandOptions): Promise<void> {
  const machine = new LocalMachine();
  const now = () => new Date();
  const typed = new ScreenInput((line) => say(`"${line}" is not an address. ${HOW_TO_LEAVE}`));
  const keyboard = new Keyboard(TERMINALS, (line) => typed.take(line));
  const takeInventory = async (): Promise<Inventory> => {
    const inventory = await collectInventory({ machine, now, chosenDisks: [] });
    return { ...inventory, disks: ownDisks(inventory.disks) };
  };
  say(HOW_TO_LEAVE);
  const identifying = identify({
    url: urlOfCommandLine(await readFile("/proc/cmdline", "utf8")),
    machine: await describeMachine(machine, await takeInventory()),
    fetch: fetchThatSetsClock(machine, {
      now,
      onSet: (was) =>
        say(`This computer's clock was wrong (${was.toISOString()}): corrected until it restarts.`),
    }),
    ...{ typed, say, now },
  });
  const identity = await Promise.race([identifying, typed.restart]);
  if (identity) {
    await mkdir(dataDir, { recursive: true, mode: 0o700 });
    const agent = handStartedAgent({
      ...{ identity, version, dataDir, machine, takeInventory, log, now },
      bootId: () => readBootId(machine),
      onCaptured: () => {
        say("The disks of this computer are captured: it is no longer needed, but can be converted again.");
        say(HOW_TO_LEAVE);
      },
      random: Math.random,
    });
    const { agentId } = identity.enrolment;
    say("Approved: cold cloning ready. Until it restarts, this computer is the source");
    say(`        ${agentId}`);
    say("To convert it, type on a computer where you use Causeway:");
    say(`        causeway convert ${agentId} \\`);
    say(`          --type ${typeChoices.startedByHand} --target TARGET`);
    agent.run().catch((error: unknown) => say(`The agent has ended: ${failureOf(error).message}`));
    await typed.restart;
    await agent.stop();
  }
  keyboard.close();
}
