import { Browser } from "#agent/browse/browser.ts";
import { NoFileSystemError } from "#agent/browse/errors.ts";
import type { BrowsedVolume } from "#agent/browse/messages.ts";
import { PointDiskReader } from "#agent/browse/point-disk.ts";
import type { ReadablePorts } from "#agent/cloud/readable-repository.ts";
import { openReadableRepository } from "#agent/cloud/readable-repository.ts";
import { readPoint } from "#agent/repository/points.ts";
import { pathBytes } from "#shared/path-text.ts";
import { bytes } from "#shared/units.ts";
import { API_HELP, API_OPTIONS, apiOf } from "../api.ts";
import { listPath, writePath } from "../browse-path.ts";
import { type CliCall, type CliCommand, requiredOption, textOption } from "../command.ts";
import { RefusedError, UsageError } from "../errors.ts";
import { newFilePath } from "../new-file.ts";
import { ProgressLine } from "../progress.ts";
import { recordedDisk } from "../recorded-disk.ts";
import { print, table } from "../terminal.ts";

const POINT = "rp_01jd3v8q6m4x2k7zt5w9h0n1yb";
const IMAGE = "--boot-image .cache/boot-image/3f1c…";

export const browse: CliCommand = {
  name: "browse",
  summary:
    "Lists a folder of a recovery point's disk, or writes a file or a folder of it; mounts nothing here",
  usage: "browse POINT --disk NAME --boot-image FOLDER [PATH] [--volume NAME] [--output FILE]",
  help: [
    ["--disk NAME", "which disk of the recovery point"],
    [
      "--boot-image FOLDER",
      "what `npm run boot-image` printed: its kernel reads the disk, in a guest without network",
    ],
    ["--volume NAME", 'which volume, such as "partition 2"; needed if several have a file system'],
    [
      "--output FILE",
      "write the file at PATH, or a tar of the folder; must not exist yet; - for standard output",
    ],
    ...API_HELP,
  ],
  examples: [
    `causeway browse ${POINT} --disk sda ${IMAGE}`,
    `causeway browse ${POINT} --disk sda ${IMAGE} --volume "partition 2" /etc`,
    `causeway browse ${POINT} --disk sda ${IMAGE} --volume vg0/root /etc/fstab --output -`,
    `causeway browse ${POINT} --disk sda ${IMAGE} --volume vg0/home /home/ada --output ada.tar`,
  ],
  options: {
    ...API_OPTIONS,
    disk: { type: "string" },
    "boot-image": { type: "string" },
    volume: { type: "string" },
    output: { type: "string" },
  },
  positionals: ["POINT", "PATH?"],
  async run(call) {
    const wanted = await wantedOf(call, this.name);
    const line = new ProgressLine(call.terminal);
    const browser = await startBrowser(call, wanted, line).finally(() => line.end());
    try {
      await answer(call, wanted, browser);
    } finally {
      await browser.close();
    }
  },
};

interface Wanted {
  id: string;
  disk: string;
  imageFolder: string;
  volume: string | undefined;
  path: string | undefined;
  /** A path without links; `-` for standard output. */
  output: string | undefined;
}

async function wantedOf(call: CliCall, command: string): Promise<Wanted> {
  const path = call.arguments.PATH;
  const output = textOption(call, "output");
  if (output !== undefined && path === undefined)
    throw new UsageError("--output needs a PATH to write", command);
  if (output === "-" && call.json)
    throw new UsageError("--json and --output - would both use standard output", command);
  return {
    id: call.arguments.POINT ?? "",
    disk: requiredOption(call, "disk", command),
    imageFolder: requiredOption(call, "boot-image", command),
    volume: textOption(call, "volume"),
    path,
    output: output === undefined || output === "-" ? output : await newFilePath(output),
  };
}

/** The wanted disk comes first; the others are there because a volume group may need them. */
async function startBrowser(call: CliCall, wanted: Wanted, line: ProgressLine): Promise<Browser> {
  const api = apiOf(call);
  const recorded = await api.getRecoveryPoint({ parameters: { id: wanted.id } });
  const { sourceId } = recorded;
  const ports: ReadablePorts = {
    requestAccess: () => api.openSourceData({ parameters: { id: sourceId } }),
    now: Date.now,
    random: Math.random,
  };
  const repository = await openReadableRepository(ports);
  const point = await readPoint(repository, wanted.id);
  const first = recordedDisk(point, recorded, wanted.disk);
  const others = point.disks.filter(({ name }) => name !== wanted.disk);
  const disks = [first, ...others.map(({ name }) => recordedDisk(point, recorded, name))];
  line.show("starting the guest that reads the disk  this takes about a minute");
  return Browser.start({
    imageFolder: wanted.imageFolder,
    disks: disks.map((disk) => ({ name: disk.name, reader: new PointDiskReader(repository, disk) })),
  });
}

async function answer(
  call: CliCall,
  { id, disk, volume, path, output }: Wanted,
  browser: Browser,
): Promise<void> {
  if (path === undefined) {
    const volumes = await browser.volumes(0);
    print(call.terminal, call.json, { id, disk, volumes }, () => volumeTable(volumes));
    return;
  }
  const place = { id, disk, volume: volume ?? onlyVolume(await browser.volumes(0), disk), path };
  const question = { disk: 0, volume: place.volume, path: pathBytes(path) };
  if (output === undefined) await listPath(call, place, browser.read({ ...question, ask: "list" }));
  else await writePath(call, { ...place, output }, browser.read({ ...question, ask: "content" }));
}

function onlyVolume(volumes: readonly BrowsedVolume[], disk: string): string {
  const readable = volumes.filter(({ problem }) => problem === undefined);
  const [first, second] = readable;
  if (!first) {
    const seen = volumes.map(({ name, problem }) => `${name}: ${problem}`).join("; ");
    throw new NoFileSystemError(disk, seen || "it has no volumes");
  }
  if (!second) return first.name;
  const names = readable.map(({ name }) => `--volume "${name}"`).join(", ");
  throw new RefusedError(`${readable.length} volumes of ${disk} have a file system`, `Name one: ${names}.`);
}

function volumeTable(volumes: readonly BrowsedVolume[]): string {
  const rows = volumes.map(({ name, sizeBytes, type, label, problem }) => [
    name,
    bytes(sizeBytes),
    type ?? "unknown",
    label ?? "-",
    problem ?? "-",
  ]);
  return table(["VOLUME", "SIZE", "TYPE", "LABEL", "NOT READABLE HERE"], rows, "The disk has no volumes.");
}
