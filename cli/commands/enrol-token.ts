import { EnrollableRole } from "#shared/protocol/common.ts";
import { API_HELP, API_OPTIONS, apiOf } from "../api.ts";
import { type CliCommand, choiceOption, secondsOption } from "../command.ts";
import { UsageError } from "../errors.ts";
import { print } from "../terminal.ts";

export const enrolToken: CliCommand = {
  name: "enrol-token",
  summary: "Creates a one-time token with which one agent can enrol",
  usage: "enrol-token --role source|target [--lifetime DURATION]",
  help: [
    ["--role ROLE", "source: its disks are read; target: virtual machines are built on it"],
    ["--lifetime DURATION", "how long the token is valid (default: one day)"],
    ...API_HELP,
  ],
  examples: ["causeway enrol-token --role source", "causeway enrol-token --role target --lifetime 1h --json"],
  options: { ...API_OPTIONS, role: { type: "string" }, lifetime: { type: "string" } },
  positionals: [],
  async run(call) {
    const role = choiceOption(call, "role", EnrollableRole.options, this.name);
    if (!role) throw new UsageError("--role is missing", this.name);
    const lifetimeSeconds = secondsOption(call, "lifetime", this.name);
    const created = await apiOf(call).createEnrolmentToken({
      body: { role, ...(lifetimeSeconds !== undefined ? { lifetimeSeconds } : {}) },
    });
    print(call.terminal, call.json, created, () => created.token ?? "");
  },
};
