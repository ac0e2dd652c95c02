import { expect, test } from "vitest";
import { RecordedMachine } from "../machine/testing/recorded-machine.ts";
import { collectAgentStart } from "./agent-start.ts";

const UNIT = "causeway-agent.service";

/** The agent is process 412. */
function agentIn(cgroup: string, mainPid = "412", unitFileState = "enabled"): RecordedMachine {
  return new RecordedMachine({
    files: { "/proc/self/cgroup": `${cgroup}\n` },
    links: { "/proc/self": "/proc/412" },
    commands: {
      [`systemctl show --property=MainPID,UnitFileState ${UNIT}`]: `MainPID=${mainPid}\nUnitFileState=${unitFileState}\n`,
    },
  });
}

test.each([
  ["an enabled service", agentIn(`0::/system.slice/${UNIT}`), "at-boot"],
  [
    "one on a system with both hierarchies",
    agentIn(`4:memory:/\n1:name=systemd:/system.slice/${UNIT}`),
    "at-boot",
  ],
  ["a service that is not enabled", agentIn(`0::/system.slice/${UNIT}`, "412", "disabled"), "by-hand"],
  ["a service that systemd-run made", agentIn(`0::/system.slice/${UNIT}`, "412", "transient"), "by-hand"],
  ["a service that another one needs", agentIn(`0::/system.slice/${UNIT}`, "412", "static"), "unknown"],
  ["a process of another's service", agentIn(`0::/system.slice/${UNIT}`, "400"), "unknown"],
  ["an interactive session", agentIn("0::/user.slice/user-0.slice/session-3.scope"), "by-hand"],
  [
    "a user's own service",
    agentIn("0::/user.slice/user-0.slice/user@0.service/app.slice/a.service"),
    "unknown",
  ],
  ["a container", agentIn("0::/"), "unknown"],
  ["a system of which nothing can be read", new RecordedMachine({}), "unknown"],
])("an agent that runs in %s", async (_, machine, expected) => {
  expect(await collectAgentStart(machine)).toBe(expected);
});
