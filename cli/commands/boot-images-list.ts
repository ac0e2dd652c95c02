import { bytes } from "#shared/units.ts";
import { API_HELP, API_OPTIONS, apiOf, everyItem } from "../api.ts";
import type { CliCommand } from "../command.ts";
import { print, table } from "../terminal.ts";

export const bootImagesList: CliCommand = {
  name: "boot-images list",
  summary: "Lists boot images, newest first; conversions use the newest unless you name another",
  usage: "boot-images list",
  help: API_HELP,
  examples: ["causeway boot-images list", "causeway boot-images list --json | jq -r '.items[0].id'"],
  options: API_OPTIONS,
  positionals: [],
  async run(call) {
    const api = apiOf(call);
    const items = await everyItem((cursor) =>
      api.listBootImages({ query: { limit: 200, ...(cursor ? { cursor } : {}) } }),
    );
    print(call.terminal, call.json, { items, cursor: null }, () => {
      const rows = items.map((image) => [
        image.id,
        image.completedAt ?? "",
        image.causewayVersion,
        image.kernelRelease,
        bytes(image.files.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0)),
        `${image.drivers.length}`,
      ]);
      return table(
        ["ID", "UPLOADED", "VERSION", "KERNEL", "SIZE", "DRIVERS"],
        rows,
        "No boot image yet: `npm run boot-image` builds one, `causeway boot-images upload DIR` uploads it.",
      );
    });
  },
};
