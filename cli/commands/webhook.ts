import type { Webhook } from "#shared/protocol/alarms.ts";
import { API_HELP, API_OPTIONS, apiOf } from "../api.ts";
import { type CliCommand, requiredOption } from "../command.ts";
import { UsageError } from "../errors.ts";
import { secretOption } from "../secret-option.ts";
import { print } from "../terminal.ts";

export const webhookSet: CliCommand = {
  name: "webhook set",
  summary: "Sets where notices of alarms are posted, and the secret that signs them",
  usage: "webhook set --to URL --secret-file FILE [--allow-private]",
  help: [
    ["--to URL", "an address that begins with https://"],
    [
      "--secret-file FILE",
      "file that holds the secret, of 32 characters or more (default: CAUSEWAY_WEBHOOK_SECRET)",
    ],
    ["--secret -", "reads it from standard input"],
    ["--allow-private", "the host may have a private address, such as 10.0.0.1"],
    ...API_HELP,
  ],
  examples: ["causeway webhook set --to https://alerts.example.com/causeway --secret-file secret"],
  options: {
    ...API_OPTIONS,
    to: { type: "string" },
    secret: { type: "string" },
    "secret-file": { type: "string" },
    "allow-private": { type: "boolean" },
  },
  positionals: [],
  async run(call) {
    const url = requiredOption(call, "to", this.name);
    const secret = secretOption(call, {
      option: "secret",
      variable: "CAUSEWAY_WEBHOOK_SECRET",
      command: this.name,
    });
    if (!secret) throw new UsageError("--secret-file is missing", this.name);
    const allowPrivate = call.values["allow-private"] === true;
    const webhook = await apiOf(call).setWebhook({ body: { url, secret, allowPrivate } });
    print(call.terminal, call.json, webhook, () => `${inWords(webhook)}\nTry it: causeway alarms test`);
  },
};

export const webhookRemove: CliCommand = {
  name: "webhook remove",
  summary: "Posts no more notices of alarms",
  usage: "webhook remove",
  help: API_HELP,
  examples: ["causeway webhook remove"],
  options: API_OPTIONS,
  positionals: [],
  async run(call) {
    const webhook = await apiOf(call).removeWebhook({});
    print(call.terminal, call.json, webhook, () => inWords(webhook));
  },
};

export const webhook: CliCommand = {
  name: "webhook",
  summary: "Shows where notices of alarms are posted",
  usage: "webhook",
  help: API_HELP,
  examples: ["causeway webhook"],
  options: API_OPTIONS,
  positionals: [],
  async run(call) {
    const current = await apiOf(call).getWebhook({});
    print(call.terminal, call.json, current, () => inWords(current));
  },
};

function inWords({ url, allowPrivate, setAt, setBy }: Webhook): string {
  const since = setAt ? ` (${setBy}, ${setAt})` : "";
  if (!url) return `No webhook is set${since}.`;
  return `Notices are posted to ${url}${allowPrivate ? ", which may have a private address" : ""}${since}.`;
}
